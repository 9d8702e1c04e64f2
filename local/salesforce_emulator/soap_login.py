"""``login()`` of the SOAP API: a way in that Salesforce closes.

It does not exist in version 65 and later, and is retired for the others with Summer '27
[documented].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import users
from local.salesforce_emulator.identity import ORGANIZATION_ID
from local.salesforce_emulator.soap import PARTNER, FaultError, Request, answer, fault, root_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_LAST_VERSION = 64.0  # [documented]
_INVALID = "Invalid username, password, security token; or user locked out."  # [documented]


def serve(org: Org, call: Call) -> Response:
    """``POST /services/Soap/u/{version}``: ``login`` and ``logout``."""
    try:
        return _serve(org, call)
    except FaultError as error:
        return fault(PARTNER, error)


def _serve(org: Org, call: Call) -> Response:
    request = Request(call.body)
    if request.operation == "logout":
        org.sessions.revoke(request.session_id)
        return answer(PARTNER, "logout", [])
    if request.operation != "login":
        message = f"This emulator does not emulate {request.operation}()"
        raise FaultError("NOT_EMULATED", message, "UnexpectedErrorFault")
    return answer(PARTNER, "login", _log_in(org, call, request.arguments))


def _log_in(org: Org, call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    version = _version(call)
    user = users.by_username(org, str(arguments.get("username", "")))
    if (
        user is None
        or not user.is_active
        or not users.has_password(org, str(arguments.get("password", "")))
    ):
        raise FaultError("INVALID_LOGIN", _INVALID, "LoginFault")
    root = root_of(call)
    return {
        "metadataServerUrl": f"{root}/services/Soap/m/{version}/{ORGANIZATION_ID}",
        "passwordExpired": False,
        "sandbox": True,
        "serverUrl": f"{root}/services/Soap/u/{version}/{ORGANIZATION_ID}",
        "sessionId": org.sessions.open(user.user_id),
        "userId": user.user_id,
        "userInfo": {
            "organizationId": ORGANIZATION_ID,
            "organizationName": "Emulated Org",
            "profileId": user.profile_id,
            "sessionSecondsValid": int(org.sessions.lifetime_seconds),
            "userEmail": user.email,
            "userFullName": f"{user.first_name or ''} {user.last_name}".strip(),
            "userId": user.user_id,
            "userName": user.username,
            "userType": "Standard",
        },
    }


def _version(call: Call) -> str:
    """Return the version of the path.

    Raises:
        FaultError: UNSUPPORTED_API_VERSION, which no longer has a login [documented].
    """
    try:
        supported = 31.0 <= float(call.version) <= _LAST_VERSION
    except ValueError:
        supported = False
    if not supported:
        message = f"login() is not available in API version {call.version}"  # [assumed wording]
        raise FaultError("UNSUPPORTED_API_VERSION", message, "UnexpectedErrorFault")
    return call.version
