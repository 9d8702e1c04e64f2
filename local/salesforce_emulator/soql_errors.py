"""What is wrong with a query, said as Salesforce says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import SalesforceError

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.soql_tree import Name

_ADVICE = "Please reference your WSDL or the describe call for the appropriate names."


def pointer(text: str, name: Name) -> str:
    """Return the head of an error: the line, a caret below the name, the position [recorded]."""
    line = text.split("\n")[name.line - 1]
    caret = " " * (name.column - 1)
    return f"\n{line}\n{caret}^\nERROR at Row:{name.line}:Column:{name.column}\n"


def invalid_type(text: str, name: Name) -> SalesforceError:
    """Return the refusal of an unknown or unreadable object [documented]."""
    return SalesforceError(
        400,
        "INVALID_TYPE",
        f"{pointer(text, name)}sObject type '{name.text}' is not supported. If you are "
        "attempting to use a custom object, be sure to append the '__c' after the entity name. "
        + _ADVICE,
    )


def no_such_column(text: str, name: Name, column: str, sobject: str) -> SalesforceError:
    """Return the refusal of an unknown or hidden field [recorded]."""
    return SalesforceError(
        400,
        "INVALID_FIELD",
        f"{pointer(text, name)}No such column '{column}' on entity '{sobject}'. If you are "
        "attempting to use a custom field, be sure to append the '__c' after the custom field "
        "name. " + _ADVICE,
    )


def no_such_relationship(text: str, name: Name, relationship: str) -> SalesforceError:
    """Return the refusal of an unknown or hidden relationship [documented]."""
    return SalesforceError(
        400,
        "INVALID_FIELD",
        f"{pointer(text, name)}Didn't understand relationship '{relationship}' in field path. If "
        "you are attempting to use a custom relationship, be sure to append the '__r' after the "
        "custom relationship name. " + _ADVICE,
    )


def wrong_value(text: str, name: Name, field: Field) -> SalesforceError:
    """Return the refusal of a value of another type [documented]."""
    quoted = field.type not in ("boolean", "datetime", "date", "double")
    kind = "dateTime" if field.type == "datetime" else field.type
    return SalesforceError(
        400,
        "INVALID_FIELD",
        f"{pointer(text, name)}value of filter criterion for field '{field.name}' must be of type "
        f"{kind} and {'should be' if quoted else 'should not be'} enclosed in quotes",
    )


def not_filterable(text: str, name: Name, field: Field) -> SalesforceError:
    """Return the refusal of a filter on a field that has none [documented, captured wording]."""
    return SalesforceError(
        400,
        "INVALID_FIELD",
        f"{pointer(text, name)}field '{field.name}' can not be filtered in a query call",
    )


def wrong_operator(field: Field) -> SalesforceError:
    """Return the refusal of an operator which the field's type does not have [documented]."""
    message = f"invalid operator on {field.type} field"
    return SalesforceError(400, "INVALID_QUERY_FILTER_OPERATOR", message)


def not_grouped(name: str) -> SalesforceError:
    """Return the refusal of a field beside groups of it [documented]."""
    return SalesforceError(
        400, "MALFORMED_QUERY", f"Field must be grouped or aggregated: {name}"
    )  # fmt: skip


def repeated(name: str) -> SalesforceError:
    """Return the refusal of a field that is selected twice [documented]."""
    return SalesforceError(400, "INVALID_FIELD", f"duplicate field selected: {name}")


def not_a_key(name: str, object_type: ObjectType) -> SalesforceError:
    """Return the refusal of a semi-join over something else than Ids [documented]."""
    return SalesforceError(
        400,
        "INVALID_FIELD",
        f"The semi join field '{name}' of '{object_type.name}' must be an ID or a reference field",
    )
