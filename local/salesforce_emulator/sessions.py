"""Who is logged in: access tokens which run out and can be revoked."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import invalid_session
from local.salesforce_emulator.identity import ORGANIZATION_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

LIFETIME_SECONDS = 2 * 3600.0  # an org's default session timeout [documented]


@dataclass(slots=True)
class Session:
    """Whose it is and when it ends, by the process's own clock."""

    user_id: str
    ends: float


class Sessions:
    """The tokens in force. They live in memory: a restart logs everybody out."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self.lifetime_seconds = LIFETIME_SECONDS
        self._lock = threading.Lock()

    def open(self, user_id: str) -> str:
        """Return a new token, shaped like ``00D...!AQ...`` [recorded]."""
        token = f"{ORGANIZATION_ID[:15]}!AQEAQ{secrets.token_urlsafe(72).replace('-', '.')}"
        with self._lock:
            self._open[token] = Session(user_id, time.monotonic() + self.lifetime_seconds)
        return token

    def check(self, headers: Mapping[str, str]) -> str:
        """Accept the request's token and return its user; its use postpones its end [documented].

        Raises:
            SalesforceError: 401 INVALID_SESSION_ID.
        """
        return self.check_token(token_of(headers))

    def check_token(self, token: str) -> str:
        """Accept a token and return its user.

        Raises:
            SalesforceError: 401 INVALID_SESSION_ID.
        """
        with self._lock:
            session = self._open.get(token)
            if session is None or session.ends < time.monotonic():
                raise invalid_session()
            session.ends = time.monotonic() + self.lifetime_seconds
            return session.user_id

    def revoke(self, token: str) -> None:
        """End one session; an unknown token changes nothing."""
        with self._lock:
            self._open.pop(token, None)

    def revoke_all(self) -> None:
        """End every session."""
        with self._lock:
            self._open.clear()

    def revoke_user(self, user_id: str) -> None:
        """End every session of one user."""
        with self._lock:
            for token in [key for key, each in self._open.items() if each.user_id == user_id]:
                del self._open[token]


def token_of(headers: Mapping[str, str]) -> str:
    """Return the token of ``Authorization: Bearer`` or the older ``OAuth`` [recorded].

    Bulk API 1.0 has a header of its own, ``X-SFDC-Session`` [recorded].
    """
    if "x-sfdc-session" in headers:
        return headers["x-sfdc-session"]
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""
