"""Records by an external Id: which fields may be one, and which records have a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import RowError, SalesforceError, malformed_id
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.values import RefusedValueError, to_column

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.schema import Schema


def key_field(schema: Schema, object_type: ObjectType, name: str) -> Field:
    """Return the field to find records by: an external Id, the Id, or one with idLookup.

    Raises:
        SalesforceError: 400 INVALID_FIELD [documented]: it is none of them, or hidden.
    """
    try:
        field = schema.visible_field(object_type, name)
    except UnknownFieldError as error:
        raise _no_key(name, object_type) from error
    if not (field.external_id or field.lookup or field.name == "Id"):
        raise _no_key(name, object_type)
    return field


def _no_key(name: str, object_type: ObjectType) -> SalesforceError:
    return SalesforceError(
        400,
        "INVALID_FIELD",
        f"Field name provided, {name} does not match an External ID, Salesforce Id, or indexed "
        f"field for {object_type.name}",
    )


def find(
    connection: sqlite3.Connection, object_type: ObjectType, key: Field, value: object
) -> list[str] | RowError:
    """Return the Ids of living records with that value, compared without case [documented].

    An empty Id finds nothing, so that a record is created [recorded]; an empty value of another
    field is refused [documented].
    """
    if value is None or value == "":
        if key.name == "Id":
            return []
        message = f"{key.name} not specified"
        return RowError("MISSING_ARGUMENT", message, (key.name,))
    if key.name == "Id":
        return _by_id(object_type, str(value))
    try:
        wanted = to_column(key, value)
    except RefusedValueError as refusal:
        return refusal.error
    alive = 'and "IsDeleted" = 0' if object_type.has("IsDeleted") else ""
    rows = connection.execute(
        f'select "Id" from "{object_type.name}" where {key.sql} = ? collate nocase {alive}'  # noqa: S608
        ' and "Id" is not null order by "Id" limit 200',
        (wanted,),
    )
    return [record_id for (record_id,) in rows]


def _by_id(object_type: ObjectType, value: str) -> list[str] | RowError:
    full = to_18(value, object_type.key_prefix)
    return malformed_id(object_type.name, value) if full is None else [full]


def ambiguous(count: int) -> RowError:
    """Return the refusal of a value that several records have [documented code]."""
    message = f"found {count} records with the external id"
    return RowError("DUPLICATE_EXTERNAL_ID", message)
