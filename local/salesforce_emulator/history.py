"""Field history: a row in ContactHistory, LeadHistory or AccountHistory for each change.

Triggers of the database write the rows, so that no way of writing can forget them, and an org
which tracks nothing pays nothing. What a row says:

* ``Field`` is the name of the field, ``OldValue`` and ``NewValue`` are of any type and cannot be
  filtered [documented]; they are booleans for a checkbox [assumed];
* ``CreatedDate`` is the whole second and ``CreatedById`` the user of the save [documented];
* a save which leaves the value as it was writes no row [assumed];
* a new record has one row with the ``Field`` ``created`` and no values, none for its fields, but
  only while the object tracks at least one field [assumed];
* a merge adds ``contactMerged`` or ``leadMerged`` to the survivor, with the name of the one that
  went as the old value [captured for ``accountMerged``]; a conversion adds ``leadConverted`` to
  the Lead [assumed];
* the rows of a deleted record are deleted with it and come back with it [assumed]; a merge does
  not move them to the survivor [assumed].

Of an Account only the fields of a person are tracked here: with the Account [documented], under the
Account's names of them [captured for custom fields].

Two rows for a lookup, one with names and one with Ids, are not emulated, nor that rows end after
18 to 24 months.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.objects import (
    ACCOUNT,
    HISTORY_PREFIX,
    RECORD_OBJECTS,
    Field,
    ObjectType,
)

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.database import Database

_RECORDED = tuple(each.history_of for each in RECORD_OBJECTS if each.history_of is not None)


class NotTrackableError(ValueError):
    """This org cannot track the history of that field."""


def track(database: Database, object_type: ObjectType, field: Field, *, tracked: bool) -> None:
    """Start or end the tracking of one field; rows already written stay.

    Raises:
        NotTrackableError: another object than Contact and Lead, a field nobody can save, or one of
            an Account that is not its person's.
    """
    if object_type.name not in _RECORDED or (
        object_type.name == ACCOUNT.name and field.mirrors is None
    ):
        raise NotTrackableError(f"the history of {object_type.name} is not emulated")
    is_computed = field.expression is not None and field.mirrors is None
    if not field.updateable or is_computed or field.type == "reference":
        raise NotTrackableError(f"the history of {field.name} cannot be tracked")
    with database.write() as connection:
        connection.execute("insert or ignore into sequence values (?, 1)", (HISTORY_PREFIX,))
        connection.execute(f'drop trigger if exists "{_trigger(object_type, field.name)}"')
        if tracked:
            connection.execute(_on_change(object_type, field))
        _follow(connection, object_type)


def is_tracked(connection: sqlite3.Connection, object_type: ObjectType, field: Field) -> bool:
    """Whether the history of a field is tracked."""
    row = connection.execute(
        "select 1 from sqlite_master where type = 'trigger' and name = ?",
        (_trigger(object_type, field.name),),
    )
    return row.fetchone() is not None


def _trigger(object_type: ObjectType, what: str) -> str:
    return f"history {object_type.name}.{what}"


def _on_change(object_type: ObjectType, field: Field) -> str:
    table, column, record, condition = object_type.name, field.name, 'new."Id"', ""
    if field.mirrors is not None:  # kept on the Contact, told of its Account
        table, column, record = "Contact", field.mirrors, 'new."AccountId"'
        condition = ' and new."IsPersonAccount"'
    body = _insert(object_type, field.name, f'old."{column}"', f'new."{column}"', record)
    return (
        f'create trigger "{_trigger(object_type, field.name)}" after update of "{column}"'
        f' on "{table}" when old."{column}" is not new."{column}"{condition} {body}'
    )


def _insert(
    object_type: ObjectType, field: str, old: str, new: str, record: str = 'new."Id"'
) -> str:
    """Return the body of a trigger which writes one row; the row ``new`` says when and who."""
    return (
        f'begin insert into "{object_type.name}History" ("Id", "{object_type.name}Id", "Field",'  # noqa: S608
        ' "OldValue", "NewValue", "CreatedDate", "CreatedById")'
        f" select make_id(prefix, next), {record}, '{field}', {old}, {new},"
        ' new."LastModifiedDate", new."LastModifiedById"'
        f" from sequence where prefix = '{HISTORY_PREFIX}';"
        f" update sequence set next = next + 1 where prefix = '{HISTORY_PREFIX}'; end"
    )


def _follow(connection: sqlite3.Connection, object_type: ObjectType) -> None:
    """Write the rows which are about no field while at least one is tracked."""
    events = _events(object_type)
    for name in events:
        connection.execute(f'drop trigger if exists "{_trigger(object_type, name)}"')
    tracked = connection.execute(
        "select 1 from sqlite_master where type = 'trigger' and name like ?",
        (_trigger(object_type, "%"),),
    )
    if tracked.fetchone() is not None:
        for name, event in events.items():
            connection.execute(f'create trigger "{_trigger(object_type, name)}" {event}')


def _events(object_type: ObjectType) -> dict[str, str]:
    """Return triggers by name; no field is called like any of them."""
    table = object_type.name
    merged = f"{table.lower()}Merged"
    name = "ltrim(coalesce(new.\"FirstName\", '') || ' ' || new.\"LastName\")"
    name = 'new."Name"' if table == ACCOUNT.name else name
    events = {
        "created": f'after insert on "{table}" {_insert(object_type, "created", "null", "null")}',
        "(deleted)": f'after update of "IsDeleted" on "{table}"'  # noqa: S608
        f' begin update "{table}History" set "IsDeleted" = new."IsDeleted"'
        f' where "{table}Id" = new."Id"; end',
        merged: f'after update of "MasterRecordId" on "{table}"'
        ' when new."MasterRecordId" is not null and new."MasterRecordId" is not'
        ' old."MasterRecordId" '
        + _insert(object_type, merged, name, "null", 'new."MasterRecordId"'),
    }
    if object_type.has("IsConverted"):
        events["leadConverted"] = (
            f'after update of "IsConverted" on "{table}" when new."IsConverted" and not'
            f' old."IsConverted" {_insert(object_type, "leadConverted", "null", "null")}'
        )
    return events
