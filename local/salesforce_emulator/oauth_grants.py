"""The ways to an access token: each grant type says whose it becomes, or why not."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

import jwt

from local.salesforce_emulator import users
from local.salesforce_emulator.clock import exact_now
from local.salesforce_emulator.identity import INTEGRATION_USER_ID
from local.salesforce_emulator.soap import root_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.users import User
    from local.salesforce_emulator.web import Call

    Form = Mapping[str, str]


class RefusedLoginError(Exception):
    """No token: the two texts of the answer."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


class RefreshTokens:
    """Tokens that people granted in a browser, which an order of the control API plays."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}
        self._lock = threading.Lock()

    def grant(self, user_id: str) -> str:
        """Return a new refresh token of a user, shaped as documented: ``5Aep861...``."""
        token = f"5Aep861{secrets.token_urlsafe(60)}"
        with self._lock:
            self._users[token] = user_id
        return token

    def user_of(self, token: str) -> str | None:
        """Return whose token it is."""
        return self._users.get(token)

    def revoke(self, token: str) -> None:
        """End one token; an unknown one changes nothing."""
        with self._lock:
            self._users.pop(token, None)


def client_credentials(org: Org, _call: Call, form: Form) -> str:
    """Return the user whom the connected app runs as."""
    _check_client(org, form)
    return _active(users.by_id(org, INTEGRATION_USER_ID))


def password(org: Org, _call: Call, form: Form) -> str:
    """Return the user of a name and a password with security token [recorded]."""
    _check_client(org, form)
    user = users.by_username(org, form.get("username", ""))
    if user is None or not users.has_password(org, form.get("password", "")):
        raise RefusedLoginError("invalid_grant", "authentication failure")  # [documented]
    return _active(user)


def refresh(org: Org, _call: Call, form: Form) -> str:
    """Return the user who once granted the refresh token."""
    if form.get("client_id") != org.client.client_id:
        raise RefusedLoginError("invalid_client_id", "client identifier invalid")
    user_id = org.refresh_tokens.user_of(form.get("refresh_token", ""))
    if user_id is None:
        raise RefusedLoginError("invalid_grant", "expired access/refresh token")  # [captured]
    return _active(users.by_id(org, user_id))


def bearer(org: Org, call: Call, form: Form) -> str:
    """Return the user whom a signed assertion names: signature, audience and end are checked."""
    claims = _verified(org, form.get("assertion", ""))
    if claims.get("iss") != org.client.client_id:
        raise RefusedLoginError("invalid_client_id", "client identifier invalid")
    if not _is_audience(call, str(claims.get("aud", ""))):
        raise RefusedLoginError("invalid_grant", "audience is invalid")  # [documented]
    _check_end(claims)
    user = users.by_username(org, str(claims.get("sub", "")))
    if user is None:  # [captured]
        raise RefusedLoginError("invalid_grant", "user hasn't approved this consumer")
    return _active(user)


def _verified(org: Org, assertion: str) -> dict[str, object]:
    """Check the signature with the certificate of the connected app; RS256 only [documented]."""
    if org.client.certificate is None:
        raise RefusedLoginError("invalid_grant", "no client certificate")  # [assumed wording]
    try:
        return jwt.decode(
            assertion,
            org.client.certificate,
            algorithms=["RS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise RefusedLoginError("invalid_grant", "invalid assertion") from error  # [documented]


def _check_end(claims: Mapping[str, object]) -> None:
    """Refuse an assertion that ended; ``exp`` may be a text.

    One that ends late is taken, although it should end within minutes [documented]: Salesforce's
    own command line says it in milliseconds, which is far away, and logs in.
    """
    text = str(claims.get("exp", ""))
    if not text.isdecimal() or int(text) <= exact_now().timestamp():
        raise RefusedLoginError("invalid_grant", "expired authorization code")  # [captured]


def _is_audience(call: Call, audience: str) -> bool:
    """Whether an assertion is meant for this org: a login host of Salesforce, or this address.

    A client which is led here by its domain names the address with more behind it.
    """
    hosts = ("https://login.salesforce.com", "https://test.salesforce.com")
    is_own = audience == root_of(call) or audience.startswith(f"{root_of(call)}/")
    is_domain = audience.startswith("https://") and audience.endswith(".my.salesforce.com")
    return audience in hosts or is_own or is_domain


def _check_client(org: Org, form: Form) -> None:
    if form.get("client_id") != org.client.client_id:
        raise RefusedLoginError("invalid_client_id", "client identifier invalid")
    if form.get("client_secret") != org.client.client_secret:
        raise RefusedLoginError("invalid_client", "invalid client credentials")


def _active(user: User) -> str:
    if not user.is_active:
        raise RefusedLoginError("inactive_user", "user is inactive")  # [documented]
    return user.user_id


GRANTS: dict[str, Callable[[Org, Call, Form], str]] = {
    "client_credentials": client_credentials,
    "password": password,
    "refresh_token": refresh,
    "urn:ietf:params:oauth:grant-type:jwt-bearer": bearer,
}
