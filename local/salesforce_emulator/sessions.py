"""Who is logged in: access tokens which run out and can be revoked."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import invalid_session
from local.salesforce_emulator.seed import ORGANIZATION_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIFETIME_SECONDS = 2 * 3600.0  # an org's default session timeout [documented]


class Sessions:
    """The tokens in force. They live in memory: a restart logs everybody out."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def open(self) -> str:
        """Return a new token, shaped like ``00D...!AQ...`` [recorded]."""
        token = f"{ORGANIZATION_ID[:15]}!AQEAQ{secrets.token_urlsafe(72).replace('-', '.')}"
        with self._lock:
            self._ends[token] = time.monotonic() + _LIFETIME_SECONDS
        return token

    def check(self, headers: Mapping[str, str]) -> None:
        """Accept the request's token; its use postpones its end [documented].

        Raises:
            SalesforceError: 401 INVALID_SESSION_ID.
        """
        token = token_of(headers)
        with self._lock:
            if self._ends.get(token, 0.0) < time.monotonic():
                raise invalid_session()
            self._ends[token] = time.monotonic() + _LIFETIME_SECONDS

    def revoke(self, token: str) -> None:
        """End one session; an unknown token changes nothing."""
        with self._lock:
            self._ends.pop(token, None)

    def revoke_all(self) -> None:
        """End every session."""
        with self._lock:
            self._ends.clear()


def token_of(headers: Mapping[str, str]) -> str:
    """Return the token of ``Authorization: Bearer`` or the older ``OAuth`` [recorded]."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""
