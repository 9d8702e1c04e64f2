"""Who we are to Salesforce: the integration user behind the Connection.

What this user modified last may be our own write; everybody else's edit is news.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

from include.domain.ids import to_18
from include.salesforce.errors import (
    FieldNotVisibleError,
    SalesforceRequestError,
    UnknownUserError,
)
from include.salesforce.records import normalised
from include.salesforce.rest_query import id_lists, query_all
from include.salesforce.session import SalesforceSession

log = logging.getLogger(__name__)

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


def read_names(session: SalesforceSession, user_ids: Sequence[str]) -> dict[str, str]:
    """Return the names of users by Id, as far as Salesforce tells them.

    What may be an address is left out: none leaves Salesforce.
    """
    try:
        rows = [
            row
            for each in id_lists(normalised(user_ids))
            for row in query_all(session, f"SELECT Id, Name FROM User WHERE Id IN {each}")  # noqa: S608  checked
        ]
    except (FieldNotVisibleError, SalesforceRequestError) as error:
        log.info("The names of users cannot be read (%s)", type(error).__name__)
        return {}
    return {to_18(str(row["Id"])): str(row["Name"]) for row in rows if "@" not in str(row["Name"])}


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
