"""What an administrator changes in the org itself: custom fields, rights, tracking."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import access, history
from local.salesforce_emulator.access import FieldAccess
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.custom_fields import field_of, is_true
from local.salesforce_emulator.ids import make_id
from local.salesforce_emulator.tables import column_sql

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.custom_fields import Metadata
    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.objects import Field, ObjectType

CUSTOM_FIELD_PREFIX = "00N"


def install_field(
    database: Database,
    object_type: ObjectType,
    metadata: Metadata,
    *,
    granted_to: str | None = None,
) -> str:
    """Add a custom field with its default everywhere, and return its Id.

    Nobody sees a field that came through an API before field-level security lets them
    [documented]; ``granted_to`` is a user whose profile permits it at once.
    """
    field = field_of(metadata)
    stamp = to_stored(now())
    with database.write() as connection:
        (number,) = database.next_numbers(connection, CUSTOM_FIELD_PREFIX, 1)
        field_id = make_id(CUSTOM_FIELD_PREFIX, number)
        connection.execute(f'alter table "{object_type.name}" add column {column_sql(field)}')
        connection.execute(
            'insert into "CustomField" values (?, ?, ?, ?, ?, ?)',
            (field_id, object_type.name, field.name, json.dumps(metadata), stamp, stamp),
        )
        if field.unique or field.external_id:
            connection.execute(_index(object_type, field))
        if granted_to is not None:
            parent = access.profile_set(connection, granted_to)
            everything = FieldAccess(readable=True, updateable=True)
            access.grant_field(
                database, connection, parent, (object_type.name, field.name), everything
            )
    return field_id


def _index(object_type: ObjectType, field: Field) -> str:
    table = object_type.name
    return (
        f'create index "{table}_{field.name}" on "{table}" ("{field.name}" collate nocase)'
        f' where "{field.name}" is not null'
    )


def custom_metadata(
    connection: sqlite3.Connection, object_type: ObjectType, name: str
) -> Metadata | None:
    """Return the metadata of a custom field, None for any other field."""
    row = connection.execute(
        'select metadata from "CustomField" where "TableEnumOrId" = ? and lower(name) = lower(?)',
        (object_type.name, name),
    ).fetchone()
    return dict(json.loads(row[0])) if row else None


def change_field(database: Database, object_type: ObjectType, metadata: Metadata) -> None:
    """Replace the metadata of a custom field; its type stays."""
    with database.write() as connection:
        connection.execute(
            'update "CustomField" set metadata = ?, "LastModifiedDate" = ?'
            ' where "TableEnumOrId" = ? and name = ?',
            (json.dumps(metadata), to_stored(now()), object_type.name, metadata["fullName"]),
        )


def remove_field(database: Database, object_type: ObjectType, field: Field) -> None:
    """Remove a custom field with its values, its rights and its place in layouts' lists."""
    full = f"{object_type.name}.{field.name}"
    if history.is_tracked(database.read(), object_type, field):
        history.track(database, object_type, field, tracked=False)
    with database.write() as connection:
        connection.execute(f'drop index if exists "{object_type.name}_{field.name}"')
        connection.execute(f'alter table "{object_type.name}" drop column "{field.name}"')
        connection.execute(
            'delete from "CustomField" where "TableEnumOrId" = ? and name = ?',
            (object_type.name, field.name),
        )
        connection.execute('delete from "FieldPermissions" where "Field" = ?', (full,))


def keeps_history(connection: sqlite3.Connection, object_type: ObjectType) -> bool:
    """Whether history tracking is switched on for the object; off in a new org [documented]."""
    row = connection.execute(
        "select history from object_setting where object = ?", (object_type.name,)
    ).fetchone()
    return bool(row and row[0])


def keep_history(database: Database, object_type: ObjectType, *, kept: bool) -> None:
    """Switch history tracking of the object on or off."""
    with database.write() as connection:
        connection.execute(
            "insert or replace into object_setting values (?, ?)", (object_type.name, kept)
        )


def track(database: Database, object_type: ObjectType, field: Field, *, tracked: Any) -> None:
    """Start or end the tracking of a field's history.

    Raises:
        NotTrackableError: this org cannot track it.
    """
    wanted = is_true(tracked)
    if wanted != history.is_tracked(database.read(), object_type, field):
        history.track(database, object_type, field, tracked=wanted)
