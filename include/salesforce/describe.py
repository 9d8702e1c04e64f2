"""What the integration user may do with a field, as describe tells it.

Salesforce hides `HasOptedOutOfEmail` from everybody by default. A hidden field is absent from
describe, and a hidden object has none; absent never means "nobody opted out".
"""

from dataclasses import dataclass
from typing import Any, Final

from include.salesforce.errors import FieldSpellingError, FieldTypeError, SalesforceRequestError
from include.salesforce.records import checked_field
from include.salesforce.session import SalesforceSession

CHECKBOX: Final = "boolean"  # what describe calls it
_NO_SUCH_OBJECT: Final = (404, "NOT_FOUND")  # or no Read on it: Salesforce does not tell which


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """Whether the integration user sees a field and may change it."""

    readable: bool
    updateable: bool


def read_field_access(session: SalesforceSession, object_name: str, field: str) -> FieldAccess:
    """Look a field up in describe.

    Salesforce takes an API name in any case but answers in its own, and results are read by name.

    Raises:
        FieldSpellingError: the field is visible and spelled in another case.
        FieldTypeError: the field is visible and no checkbox.
        InvalidFieldNameError: not an API name.
    """
    name = checked_field(field).lower()
    for each in visible_fields(session, object_name):
        if each["name"].lower() == name:
            _refuse_another_spelling(field, each["name"])
            _refuse_another_type(object_name, field, each["type"])
            return FieldAccess(readable=True, updateable=bool(each["updateable"]))
    return FieldAccess(readable=False, updateable=False)


def _refuse_another_spelling(field: str, canonical: str) -> None:
    if field != canonical:
        raise FieldSpellingError(
            f"Salesforce spells the field {canonical}; the settings say {field}: correct it with "
            f"python -m include.cli settings set --sales-field {canonical} --by NAME --note WHY"
        )


def _refuse_another_type(object_name: str, field: str, kind: str) -> None:
    if kind != CHECKBOX:
        raise FieldTypeError(
            f"{field} of {object_name} is of type {kind} and an opt-out is a checkbox: choose "
            "another field with python -m include.cli settings set --sales-field API_NAME "
            "--by NAME --note WHY"
        )


def has_person_accounts(session: SalesforceSession) -> bool:
    """Tell whether the org has person accounts: only then Contacts have a column for it."""
    return any(each["name"] == "IsPersonAccount" for each in visible_fields(session, "Contact"))


def visible_fields(session: SalesforceSession, object_name: str) -> list[dict[str, Any]]:
    """Return the fields the integration user sees; none where it may not read the object."""
    try:
        document = session.json("GET", f"sobjects/{object_name}/describe", repeatable=True)
    except SalesforceRequestError as error:
        if (error.status, error.code) != _NO_SUCH_OBJECT:
            raise
        return []
    fields: list[dict[str, Any]] = document["fields"]
    return fields
