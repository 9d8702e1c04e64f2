"""Who we are to Salesforce: the integration user behind the Connection.

What this user modified last may be our own write; everybody else's edit is news.
"""

from typing import Any, Final

from include.domain.ids import to_18
from include.salesforce.errors import SalesforceRequestError, UnknownUserError
from include.salesforce.session import SalesforceSession

_USERINFO: Final = "/services/oauth2/userinfo"
# what this address says of a session that has ended, where everything else says 401:
# github.com/forcedotcom/SalesforceMobileSDK-iOS/issues/3398
_FORBIDDEN: Final = 403


def read_user_id(session: SalesforceSession) -> str:
    """Return the 18-character Id of the integration user.

    Raises:
        UnknownUserError: Salesforce does not tell.
    """
    try:
        answer = _userinfo(session)
    except SalesforceRequestError as error:
        raise _unknown(f"HTTP {error.status}, {error.code}") from error
    try:
        return to_18(str(answer["user_id"]))
    except (KeyError, TypeError, ValueError):
        # `from None`: those errors may quote the answer, which names the user
        raise _unknown("no Id in the answer") from None


def _userinfo(session: SalesforceSession) -> Any:
    try:
        return session.json("GET", _USERINFO, repeatable=True)
    except SalesforceRequestError as error:
        if error.status != _FORBIDDEN:
            raise
    session.renew()
    return session.json("GET", _USERINFO, repeatable=True)


def _unknown(reason: str) -> UnknownUserError:
    return UnknownUserError(
        f"Salesforce does not say who the integration user is ({reason}): give the connected app "
        "the OAuth scopes api and openid, and the user the permission API Enabled"
    )
