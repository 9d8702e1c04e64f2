"""What the integration user may do with a field, as describe tells it.

Salesforce hides `HasOptedOutOfEmail` from everybody by default. A hidden field is absent from
describe; absent never means "nobody opted out".
"""

from dataclasses import dataclass

from include.domain.values import SalesforceObject
from include.salesforce.records import checked_field
from include.salesforce.session import SalesforceSession


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """Whether the integration user sees a field and may change it."""

    readable: bool
    updateable: bool


def read_field_access(session: SalesforceSession, obj: SalesforceObject, field: str) -> FieldAccess:
    """Look a field up in describe; API names are case-insensitive."""
    name = checked_field(field).lower()
    document = session.json("GET", f"sobjects/{obj.value}/describe", repeatable=True)
    for each in document["fields"]:
        if each["name"].lower() == name:
            return FieldAccess(readable=True, updateable=bool(each["updateable"]))
    return FieldAccess(readable=False, updateable=False)
