"""What people do inside Salesforce and no REST call can: edit, delete, merge, convert.

None of it obeys field-level security: it plays the administrator in the user interface. Every act
is one transaction, and all records it touches carry its time. Not emulated: the limit of three
records per merge, child records, merging business accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.control_input import bad_request, required
from local.salesforce_emulator.errors import (
    RowError,
    SalesforceError,
    malformed_id,
    not_emulated,
)
from local.salesforce_emulator.identity import HUMAN_USER_IDS, INTEGRATION_USER_ID
from local.salesforce_emulator.ids import make_id, to_18
from local.salesforce_emulator.objects import CONTACT, LEAD
from local.salesforce_emulator.records import Change, Saver, SaveRules
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.states import CONVERTED, DELETED, UNKNOWN

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org

_USERS = {"human": HUMAN_USER_IDS[0], "integration": INTEGRATION_USER_ID}
_NOT_IN_THE_BIN = RowError("UNDELETE_FAILED", "Entity is not in the recycle bin")
_UNMERGEABLE = RowError("BAD_REQUEST", "a record cannot be merged into that one")
_CARRIED_OVER = (
    "LastName", "FirstName", "Salutation", "Title", "Phone", "Email", "HasOptedOutOfEmail",
    "OwnerId",
)  # fmt: skip


def edit(org: Org, edits: Sequence[Mapping[str, Any]], user: str) -> int:
    """Save all edits or none; returns how many."""
    if user not in _USERS:
        raise bad_request(f"user must be one of {', '.join(_USERS)}")
    with org.database.write() as connection:
        for each in edits:
            if not isinstance(each, dict):
                raise bad_request("an edit must be an object with id and fields")
            object_type, record_id = resolve(org, required(each, "id", str))
            fields = required(each, "fields", dict)
            _save(org, connection, object_type, record_id, fields, _USERS[user])
    return len(edits)


def _save(
    org: Org,
    connection: sqlite3.Connection,
    object_type: ObjectType,
    record_id: str,
    fields: Mapping[str, Any],
    user_id: str,
) -> None:
    values = _values(org, object_type, fields)
    rules = SaveRules(
        user_id, "Record", obeys_security=False, book=org.rules, saves_duplicates=True
    )
    saver = Saver(org.schema, object_type, rules)
    (error,) = saver.update(connection, [Change(record_id, values)])
    if error is not None:
        raise error.as_exception()


def delete(org: Org, ids: Sequence[str]) -> int:
    """Move records to the recycle bin; the stamps move too [assumed].

    Raises:
        SalesforceError: ENTITY_IS_DELETED [recorded]: one is there already.
    """
    with org.database.write() as connection:
        for given in ids:
            object_type, record_id = resolve(org, given)
            refuse_deleted(connection, object_type, record_id)
            _set(connection, object_type, record_id, '"IsDeleted" = 1')
    return len(ids)


def undelete(org: Org, ids: Sequence[str]) -> int:
    """Take records out of the recycle bin, merged-away ones too [documented].

    A merged-away record then stands alone, without a MasterRecordId [assumed]: no record is alive
    and names a master. The survivor stays as it is, and so do those merged into this one before.

    Raises:
        SalesforceError: UNDELETE_FAILED [documented]: one is not in the bin.
    """
    with org.database.write() as connection:
        for given in ids:
            object_type, record_id = resolve(org, given)
            if not _column(connection, object_type, record_id, "IsDeleted"):
                raise _NOT_IN_THE_BIN.as_exception()
            _set(connection, object_type, record_id, '"IsDeleted" = 0, "MasterRecordId" = null')
    return len(ids)


def merge(org: Org, winner: str, losers: Sequence[str], values: Mapping[str, Any]) -> None:
    """Merge records of one object: the losers are deleted and name the winner [documented].

    The winner keeps its own values, a checkbox too, but for the ``values`` which the person picks
    from the losers [documented]. A loser which itself won an earlier merge leaves the earlier
    losers as they are: they name a record that is deleted and names its own master [assumed].
    Business accounts, and a person account with a Contact, cannot be merged here; the latter
    cannot in Salesforce either [captured].
    """
    with org.database.write() as connection:
        object_type, winner_id = resolve(org, winner)
        refuse_deleted(connection, object_type, winner_id)
        if object_type.name == "Account" and not is_person(connection, object_type, winner_id):
            raise not_emulated("merging business accounts")
        for loser in losers:
            loser_id = _loser(org, connection, object_type, winner_id, loser)
            _set(
                connection,
                object_type,
                loser_id,
                '"IsDeleted" = 1, "MasterRecordId" = ?',
                winner_id,
            )
        _set(connection, object_type, winner_id, '"MasterRecordId" = null')
        _save(org, connection, object_type, winner_id, values, HUMAN_USER_IDS[0])


def _loser(
    org: Org,
    connection: sqlite3.Connection,
    object_type: ObjectType,
    winner_id: str,
    given: str,
) -> str:
    """Return the full Id of a record which can be merged into the winner."""
    loser_type, loser_id = resolve(org, given)
    if loser_type is not object_type or loser_id == winner_id:
        raise _UNMERGEABLE.as_exception()
    refuse_deleted(connection, object_type, loser_id)
    if is_person(connection, object_type, loser_id) != is_person(
        connection, object_type, winner_id
    ):
        raise _UNMERGEABLE.as_exception()
    return loser_id


def is_person(connection: sqlite3.Connection, object_type: ObjectType, record_id: str) -> bool:
    """Whether an Account or a Contact is half of a person account."""
    if not object_type.has("IsPersonAccount"):
        return False
    return bool(_column(connection, object_type, record_id, "IsPersonAccount"))


def _column(
    connection: sqlite3.Connection, object_type: ObjectType, record_id: str, name: str
) -> object:
    found = connection.execute(
        f'select "{name}" from "{object_type.name}" where "Id" = ?',  # noqa: S608
        (record_id,),
    )
    (value,) = found.fetchone()
    return value


def refuse_deleted(connection: sqlite3.Connection, object_type: ObjectType, record_id: str) -> None:
    """Refuse a record in the recycle bin."""
    if _column(connection, object_type, record_id, "IsDeleted"):
        raise DELETED.as_exception()


def convert_lead(org: Org, lead: str, contact: str | None) -> str:
    """Convert a Lead and return the Contact's Id.

    Into a new Contact the standard fields are carried over, opt-out included; custom fields are
    not unless an administrator mapped them [documented]. Into an existing Contact conversion
    "only overwrites empty fields" [documented], and a checkbox is never empty: an opted-out Lead
    converted into a Contact which is not opted out loses the opt-out [assumed]. A Lead is
    converted once; the code of the refusal is that of a write [assumed].
    """
    with org.database.write() as connection:
        lead_type, lead_id = _living(org, connection, LEAD, lead)
        if _column(connection, lead_type, lead_id, "IsConverted"):
            raise CONVERTED.as_exception()
        if contact:
            _, contact_id = _living(org, connection, CONTACT, contact)
            _fill_empty(connection, lead_id, contact_id)
        else:
            contact_id = _new_contact(org, connection, lead_id)
        _set(
            connection,
            lead_type,
            lead_id,
            '"IsConverted" = 1, "ConvertedDate" = ?, "ConvertedContactId" = ?',
            now().date().isoformat(),
            contact_id,
        )
    return contact_id


def _living(
    org: Org, connection: sqlite3.Connection, wanted: ObjectType, given: str
) -> tuple[ObjectType, str]:
    object_type, record_id = resolve(org, given)
    if object_type.name != wanted.name:
        raise malformed_id(wanted.name, given).as_exception()
    refuse_deleted(connection, object_type, record_id)
    return object_type, record_id


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
