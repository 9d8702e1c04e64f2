"""Person accounts: a person who is an Account and a Contact at once.

* Off in a new org; once on, Salesforce does not switch them off again [captured].
* Both halves always have the same stamps: a change of one touches the other [documented]. They
  are deleted, undeleted and merged together [assumed].
* An API client changes the person on the Account, see ``records.Saver``.
* "Field history tracking excludes the changes made to a person's contact record" [documented]: it
  is in AccountHistory, whichever half was changed [assumed], see ``history``.

Not emulated: record types, creating a person account out of nothing, converting a Lead into one,
fields beyond the name, title, address, opt-out and custom checkboxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator import human
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import RowError, SalesforceError, malformed_id
from local.salesforce_emulator.identity import HUMAN_USER_IDS
from local.salesforce_emulator.ids import make_id
from local.salesforce_emulator.person_fields import FEATURE, IS_PERSON, PERSON_CONTACT
from local.salesforce_emulator.tables import column_sql

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.org import Org

_STAMPS = ("LastModifiedDate", "LastModifiedById", "SystemModstamp")
_SAME = ", ".join(f'"{name}" = new."{name}"' for name in (*_STAMPS, "IsDeleted"))
# A trigger never starts itself again, so the two do not go round in circles.
_TRIGGERS = (
    f"""
create trigger "person contact" after update on "Contact" when new."IsPersonAccount" begin
    update "Account" set {_SAME},
        "Name" = ltrim(coalesce(new."FirstName", '') || ' ' || new."LastName"),
        "MasterRecordId" = (select "AccountId" from "Contact" where "Id" = new."MasterRecordId")
    where "Id" = new."AccountId";
end""",  # noqa: S608
    f"""
create trigger "person account" after update on "Account" when new."IsPersonAccount" begin
    update "Contact" set {_SAME},
        "MasterRecordId" =
            (select "PersonContactId" from "Account" where "Id" = new."MasterRecordId")
    where "Id" = new."PersonContactId";
end""",  # noqa: S608
    """
create trigger "person history" after insert on "ContactHistory"
    when (select "IsPersonAccount" from "Contact" where "Id" = new."ContactId") begin
    delete from "ContactHistory" where "Id" = new."Id";
end""",
)


def enable(org: Org) -> None:
    """Give the org person accounts; it has none yet. Repeating it changes nothing."""
    if org.schema.has_person_accounts:
        return
    with org.database.write() as connection:
        connection.execute("insert into feature values (?)", (FEATURE,))
        for table, field in (
            ("Contact", IS_PERSON),
            ("Account", IS_PERSON),
            ("Account", PERSON_CONTACT),
        ):
            connection.execute(f'alter table "{table}" add column {column_sql(field)}')
        for trigger in _TRIGGERS:
            connection.execute(trigger)
    org.reload()


def make(org: Org, contact: str) -> str:
    """Turn a Contact into a person account of its own and return the Account's Id.

    Raises:
        SalesforceError: person accounts are off, or the record is no Contact, deleted, or a person
            account already.
    """
    if not org.schema.has_person_accounts:
        raise SalesforceError(400, "BAD_REQUEST", "this org has no person accounts")
    with org.database.write() as connection:
        object_type, contact_id = human.resolve(org, contact)
        if object_type.name != "Contact":
            raise malformed_id("Contact", contact).as_exception()
        human.refuse_deleted(connection, object_type, contact_id)
        if human.is_person(connection, object_type, contact_id):
            raise RowError("BAD_REQUEST", "the Contact is a person account").as_exception()
        (number,) = org.database.next_numbers(connection, "001", 1)
        account_id = make_id("001", number)
        _insert(connection, account_id, contact_id)
    return account_id


def _insert(connection: sqlite3.Connection, account_id: str, contact_id: str) -> None:
    stamp, user = to_stored(now()), HUMAN_USER_IDS[0]
    connection.execute(
        'insert into "Account" ("Id", "Name", "OwnerId", "CreatedDate", "CreatedById",'
        ' "LastModifiedDate", "LastModifiedById", "SystemModstamp", "IsPersonAccount",'
        ' "PersonContactId") select ?, \'\', "OwnerId", ?, ?, ?, ?, ?, 1, "Id" from "Contact"'
        ' where "Id" = ?',
        (account_id, stamp, user, stamp, user, stamp, contact_id),
    )
    connection.execute(
        'update "Contact" set "AccountId" = ?, "IsPersonAccount" = 1, "LastModifiedDate" = ?,'
        ' "LastModifiedById" = ?, "SystemModstamp" = ? where "Id" = ?',
        (account_id, stamp, user, stamp, contact_id),
    )
