"""What an org is, which API versions it offers, and who changed a field lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from include.domain.ids import to_18
from include.salesforce.errors import FieldNotVisibleError, SalesforceRequestError
from include.salesforce.failures import INVALID_TYPE
from include.salesforce.records import checked_field
from include.salesforce.rest_query import query_all
from include.salesforce.session import SalesforceSession

_VERSIONS: Final = "/services/data"
_NOT_PERMITTED: Final = frozenset(
    {INVALID_TYPE, "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"}
)


@dataclass(frozen=True, slots=True)
class Organization:
    """An org: its Id of 18 characters, its name, edition, instance, and whether it is a sandbox."""

    id: str
    name: str
    edition: str
    instance: str
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """How often a user changed a field, and when last (UTC). `name` is that of the user."""

    user_id: str
    name: str | None
    count: int
    newest: datetime


def read_organization_id(session: SalesforceSession) -> str:
    """Ask Salesforce for the 18-character Id of the org."""
    soql = "SELECT Id FROM Organization"
    answer = session.json("GET", "query", repeatable=True, params={"q": soql})
    return to_18(answer["records"][0]["Id"])


def read_organization(session: SalesforceSession) -> Organization:
    """Ask Salesforce which org this is."""
    soql = "SELECT Id, Name, OrganizationType, InstanceName, IsSandbox FROM Organization"
    answer = session.json("GET", "query", repeatable=True, params={"q": soql})
    row = answer["records"][0]
    return Organization(
        to_18(row["Id"]),
        str(row["Name"]),
        str(row["OrganizationType"]),
        str(row["InstanceName"]),
        bool(row["IsSandbox"]),
    )


def read_versions(session: SalesforceSession) -> list[str]:
    """Return the API versions that the org offers, oldest first."""
    answer = session.json("GET", _VERSIONS, repeatable=True)
    return [str(each["version"]) for each in answer]


def read_changes(
    session: SalesforceSession, parent: str, field: str, since: datetime
) -> list[Changes] | None:
    """Return who changed a field since a time, most changes first; None: it cannot be read."""
    soql = (
        "SELECT CreatedById, COUNT(Id) changes, MAX(CreatedDate) newest "  # noqa: S608  checked
        f"FROM {parent}History WHERE Field = '{checked_field(field)}' "
        f"AND CreatedDate >= {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} GROUP BY CreatedById"
    )
    try:
        rows = query_all(session, soql)
    except FieldNotVisibleError:
        return None
    except SalesforceRequestError as error:
        if error.code not in _NOT_PERMITTED:
            raise
        return None
    names = _names(session, [to_18(row["CreatedById"]) for row in rows])
    found = [_changes(row, names) for row in rows]
    return sorted(found, key=lambda each: (-each.count, each.user_id))


def _changes(row: Mapping[str, Any], names: Mapping[str, str]) -> Changes:
    user_id = to_18(row["CreatedById"])
    newest = datetime.fromisoformat(str(row["newest"]))
    return Changes(user_id, names.get(user_id), int(row["changes"]), newest.astimezone(UTC))


def _names(session: SalesforceSession, user_ids: list[str]) -> dict[str, str]:
    if not user_ids:
        return {}
    ids = ", ".join(f"'{each}'" for each in user_ids[:_NAMED])
    soql = f"SELECT Id, Name FROM User WHERE Id IN ({ids})"  # noqa: S608  checked Ids
    return {to_18(row["Id"]): str(row["Name"]) for row in query_all(session, soql)}


_NAMED: Final = 200
