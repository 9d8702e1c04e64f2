"""What people do inside Salesforce and no REST call can: edit, delete, merge, convert.

None of it obeys field-level security: it plays the administrator in the user interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import SalesforceError, malformed_id
from local.salesforce_emulator.ids import make_id, to_18
from local.salesforce_emulator.objects import CONTACT, LEAD
from local.salesforce_emulator.records import DELETED, UNKNOWN, Change, Saver, SaveRules
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.seed import HUMAN_USER_IDS, INTEGRATION_USER_ID

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org

_USERS = {"human": HUMAN_USER_IDS[0], "integration": INTEGRATION_USER_ID}
_CARRIED_OVER = (
    "LastName", "FirstName", "Salutation", "Title", "Phone", "Email", "HasOptedOutOfEmail",
    "OwnerId",
)  # fmt: skip


def edit(org: Org, edits: Sequence[Mapping[str, Any]], user: str) -> int:
    """Save all edits or none; returns how many."""
    if user not in _USERS:
        raise SalesforceError(400, "BAD_REQUEST", f"user must be one of {', '.join(_USERS)}")
    with org.database.write() as connection:
        for each in edits:
            object_type, record_id = resolve(org, str(each["id"]))
            values = _values(org, object_type, each["fields"])
            rules = SaveRules(_USERS[user], "Record", obeys_security=False)
            saver = Saver(org.schema, object_type, rules)
            (error,) = saver.update(connection, [Change(record_id, values)])
            if error is not None:
                raise error.as_exception()
    return len(edits)


def delete(org: Org, ids: Sequence[str]) -> int:
    """Move records to the recycle bin; the stamps move too [assumed]."""
    return _mark(org, ids, '"IsDeleted" = 1')


def undelete(org: Org, ids: Sequence[str]) -> int:
    """Take records out of the recycle bin; a merged one stands alone again [assumed]."""
    return _mark(org, ids, '"IsDeleted" = 0, "MasterRecordId" = null')


def _mark(org: Org, ids: Sequence[str], settings: str) -> int:
    with org.database.write() as connection:
        for given in ids:
            object_type, record_id = resolve(org, given)
            _set(connection, object_type, record_id, settings)
    return len(ids)


def merge(org: Org, winner: str, losers: Sequence[str]) -> None:
    """Merge records of one object: the losers are deleted and name the winner [documented].

    The winner keeps its own values.
    """
    with org.database.write() as connection:
        object_type, winner_id = resolve(org, winner)
        refuse_deleted(connection, object_type, winner_id)
        for loser in losers:
            loser_type, loser_id = resolve(org, loser)
            if loser_type is not object_type or loser_id == winner_id:
                raise SalesforceError(400, "BAD_REQUEST", "a record cannot be merged into that one")
            _set(
                connection,
                object_type,
                loser_id,
                '"IsDeleted" = 1, "MasterRecordId" = ?',
                winner_id,
            )
        _set(connection, object_type, winner_id, '"MasterRecordId" = null')


def refuse_deleted(connection: sqlite3.Connection, object_type: ObjectType, record_id: str) -> None:
    """Refuse a record in the recycle bin."""
    found = connection.execute(
        f'select "IsDeleted" from "{object_type.name}" where "Id" = ?',  # noqa: S608
        (record_id,),
    )
    if found.fetchone()[0]:
        raise DELETED.as_exception()


def convert_lead(org: Org, lead: str, contact: str | None) -> str:
    """Convert a Lead and return the Contact's Id.

    Into a new Contact the standard fields are carried over, opt-out included; custom fields are
    not unless an administrator mapped them [documented]. Into an existing Contact conversion
    "only overwrites empty fields" [documented], and a checkbox is never empty: an opted-out Lead
    converted into a Contact which is not opted out loses the opt-out [assumed].
    """
    with org.database.write() as connection:
        lead_type, lead_id = resolve(org, lead)
        if lead_type.name != LEAD.name:
            raise malformed_id("Lead", lead).as_exception()
        contact_id = resolve(org, contact)[1] if contact else _new_contact(org, connection, lead_id)
        if contact:
            _fill_empty(connection, lead_id, contact_id)
        _set(
            connection,
            lead_type,
            lead_id,
            '"IsConverted" = 1, "ConvertedDate" = ?, "ConvertedContactId" = ?',
            now().date().isoformat(),
            contact_id,
        )
    return contact_id


def _new_contact(org: Org, connection: sqlite3.Connection, lead_id: str) -> str:
    (number,) = org.database.next_numbers(connection, CONTACT.key_prefix, 1)
    contact_id = make_id(CONTACT.key_prefix, number)
    names = ", ".join(f'"{name}"' for name in _CARRIED_OVER)
    stamp, user = to_stored(now()), HUMAN_USER_IDS[0]
    connection.execute(
        f'insert into "Contact" ("Id", {names}, "CreatedDate", "CreatedById",'  # noqa: S608
        ' "LastModifiedDate", "LastModifiedById", "SystemModstamp")'
        f' select ?, {names}, ?, ?, ?, ?, ? from "Lead" where "Id" = ?',
        (contact_id, stamp, user, stamp, user, stamp, lead_id),
    )
    return contact_id


def _fill_empty(connection: sqlite3.Connection, lead_id: str, contact_id: str) -> None:
    text_columns = [name for name in _CARRIED_OVER if name != "HasOptedOutOfEmail"]
    settings = ", ".join(
        f'"{name}" = coalesce("{name}", (select "{name}" from "Lead" where "Id" = ?1))'  # noqa: S608
        for name in text_columns
    )
    connection.execute(
        f'update "Contact" set {settings}, "LastModifiedDate" = ?3, "SystemModstamp" = ?3,'  # noqa: S608
        ' "LastModifiedById" = ?4 where "Id" = ?2',
        (lead_id, contact_id, to_stored(now()), HUMAN_USER_IDS[0]),
    )


def resolve(org: Org, given: str) -> tuple[ObjectType, str]:
    """Return object and full Id of a record which exists, deleted or not."""
    record_id = to_18(given, "")
    object_type = org.schema.object_of_id(given)
    if record_id is None or object_type is None:
        raise malformed_id("Record", given).as_exception()
    found = org.database.read().execute(
        f'select 1 from "{object_type.name}" where "Id" = ?',  # noqa: S608
        (record_id,),
    )
    if found.fetchone() is None:
        raise UNKNOWN.as_exception(404)
    return object_type, record_id


def _values(org: Org, object_type: ObjectType, names: Mapping[str, Any]) -> dict[Field, object]:
    try:
        return {org.schema.any_field(object_type, name): value for name, value in names.items()}
    except UnknownFieldError as error:
        raise SalesforceError(400, "INVALID_FIELD", f"no field {error}") from error


def _set(
    connection: sqlite3.Connection,
    object_type: ObjectType,
    record_id: str,
    settings: str,
    *values: object,
) -> None:
    stamp = to_stored(now())
    connection.execute(
        f'update "{object_type.name}" set {settings}, "LastModifiedDate" = ?,'  # noqa: S608
        ' "SystemModstamp" = ?, "LastModifiedById" = ? where "Id" = ?',
        (*values, stamp, stamp, HUMAN_USER_IDS[0], record_id),
    )
