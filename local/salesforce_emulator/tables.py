"""The tables of a new org's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.objects import STAMPS
from local.salesforce_emulator.setup_objects import STANDARD_OBJECTS

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.objects import Field, ObjectType

_TABLES = (
    "create table sequence (prefix text primary key, next integer not null)",
    """
create table "EntityDefinition" (
    "Id" text primary key, "Label" text not null, "KeyPrefix" text not null
)""",
    "create table object_setting (object text primary key, history integer not null)",
    """
create table "CustomField" (
    "Id" text primary key, "TableEnumOrId" text not null, name text not null,
    metadata text not null, "CreatedDate" text not null, "LastModifiedDate" text not null,
    unique ("TableEnumOrId", name)
)""",
    """
create table "Layout" (
    "Id" text primary key, "TableEnumOrId" text not null, full_name text not null unique,
    metadata text not null, "LastModifiedDate" text not null
)""",
    """
create table job (
    id text primary key, kind text not null, operation text not null, object text not null,
    state text not null, created_at text not null, modified_at text not null,
    version text not null, query text, column_delimiter text not null, line_ending text not null,
    uploaded integer not null default 0, processed integer not null default 0,
    failed integer not null default 0, error text, milliseconds integer not null default 0,
    created_by text not null, external_id text, options text not null default '{}'
)""",
    """
create table batch (
    id text primary key, job text not null, state text not null, created_at text not null,
    modified_at text not null, message text, processed integer not null default 0,
    failed integer not null default 0, milliseconds integer not null default 0
)""",
    "create table assignment_rule (object text primary key, owner text not null)",
    "create table feature (name text primary key)",
    """
create table rule (
    name text primary key, kind text not null, object text not null, definition text not null
)""",
)
# Not shown as fields by every object, and there for the machinery.
_HIDDEN_STAMPS = tuple(field for field in STAMPS if not field.name.startswith("Created"))


def create_tables(connection: sqlite3.Connection) -> None:
    """Create every table without its indexes, inside the caller's transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    for object_type in STANDARD_OBJECTS:
        connection.execute(_create_table(object_type))
        connection.execute(
            'insert into "EntityDefinition" values (?, ?, ?)',
            (object_type.name, object_type.name, object_type.key_prefix),
        )


def create_indexes(connection: sqlite3.Connection) -> None:
    """Create what makes queries fast; once the tables are filled, because that is faster."""
    for object_type in STANDARD_OBJECTS:
        for column, name in _indexes(object_type):
            connection.execute(_create_index(object_type, column, name))


def column_sql(field: Field) -> str:
    """Return the column definition of a stored field."""
    if field.type == "boolean":
        return f'"{field.name}" integer not null default {int(bool(field.default))}'
    if field.type == "anyType":  # whatever was stored comes back as it was
        return f'"{field.name}"'
    if field.name == "Id":
        return '"Id" text primary key'
    return f'"{field.name}" {"real" if field.type == "double" else "text"}'


def _create_table(object_type: ObjectType) -> str:
    fields = [field for field in object_type.fields if field.expression is None]
    if object_type.is_setup:
        fields += [field for field in _HIDDEN_STAMPS if not object_type.has(field.name)]
    columns = ", ".join(map(column_sql, fields))
    return f'create table "{object_type.name}" ({columns})'


def _indexes(object_type: ObjectType) -> list[tuple[str, str]]:
    if object_type.history_of is not None:
        return [(f"{object_type.history_of}Id", "record")]
    return []  # one on SystemModstamp would double the time of a bulk update, for half a second


def _create_index(object_type: ObjectType, column: str, name: str) -> str:
    table = object_type.name
    return f'create index "{table}_{name}" on "{table}" ("{column}")'
