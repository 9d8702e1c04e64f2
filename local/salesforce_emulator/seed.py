"""A new org: its users and their rights, its layouts, its first records; repeatable by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.salesforce_emulator import access, layouts
from local.salesforce_emulator.access import FieldAccess
from local.salesforce_emulator.clock import to_stored
from local.salesforce_emulator.identity import (
    ADMIN_USERNAME,
    AUTOMATED_USER_ID,
    HUMAN_USER_IDS,
    INTEGRATION_USER_ID,
    INTEGRATION_USERNAME,
    ORGANIZATION_ID,
)
from local.salesforce_emulator.ids import make_id
from local.salesforce_emulator.seed_records import seed_records
from local.salesforce_emulator.setup_objects import (
    PROFILE_PREFIX,
    SET_PREFIX,
    STANDARD_OBJECTS,
    USER_PERMISSIONS,
)
from local.salesforce_emulator.tables import create_indexes, create_tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from local.salesforce_emulator.database import Database

__all__ = ["HUMAN_USER_IDS", "INTEGRATION_USER_ID", "ORGANIZATION_ID", "SeedPlan", "seed_org"]

_FIRST_DAY = to_stored(datetime(2021, 1, 4, 8, tzinfo=UTC))
_STAMPS = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
_OF_THE_ORG = (_FIRST_DAY, INTEGRATION_USER_ID, _FIRST_DAY, INTEGRATION_USER_ID, _FIRST_DAY)
_PROFILES = ("Opt-Out Sync Integration", "System Administrator")


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """How many records to make, from which seed."""

    contacts: int
    leads: int
    seed: int


def seed_org(database: Database, plan: SeedPlan) -> None:
    """Fill an empty database; one transaction, so a killed start leaves nothing half done."""
    with database.write() as connection:
        create_tables(connection)
        _seed_organization(connection)
        _seed_users(connection)
        _seed_rights(database, connection)
        layouts.seed(database, connection, _FIRST_DAY)
        seed_records(database, connection, plan.contacts, plan.leads, plan.seed)
        create_indexes(connection)
        database.mark(connection)


def _seed_organization(connection: sqlite3.Connection) -> None:
    organization = (ORGANIZATION_ID, "Emulated Org", 1, "EMU1S", "Developer Edition", *_OF_THE_ORG)
    columns = ("Id", "Name", "IsSandbox", "InstanceName", "OrganizationType", *_STAMPS)
    insert(connection, "Organization", columns, [organization])


def _seed_users(connection: sqlite3.Connection) -> None:
    ours, admin = (make_id(PROFILE_PREFIX, number) for number in (1, 2))
    people = (
        (INTEGRATION_USER_ID, INTEGRATION_USERNAME, "sync", ours, "Integration", "Opt-Out Sync"),
        (HUMAN_USER_IDS[0], ADMIN_USERNAME, "rosa", admin, "Rosa", "Human"),
        (HUMAN_USER_IDS[1], "ravi.human@emulated.example", "ravi", admin, "Ravi", "Human"),
        (AUTOMATED_USER_ID, "autoproc@emulated.example", "autoproc", admin, "Automated", "Process"),
    )
    rows = (
        (user, name, alias, profile, _type_of(user), first, last, name, 1, *_OF_THE_ORG)
        for user, name, alias, profile, first, last in people
    )
    columns = (
        "Id", "Username", "Alias", "ProfileId", "UserType", "FirstName", "LastName", "Email",
        "IsActive", *_STAMPS,
    )  # fmt: skip
    insert(connection, "User", columns, rows)


def _type_of(user: str) -> str:
    return "AutomatedProcess" if user == AUTOMATED_USER_ID else "Standard"


def _seed_rights(database: Database, connection: sqlite3.Connection) -> None:
    """Give each profile a permission set of its own, which permits everything at first."""
    profiles = database.next_numbers(connection, PROFILE_PREFIX, len(_PROFILES))
    sets = database.next_numbers(connection, SET_PREFIX, len(_PROFILES))
    flags = tuple(f"Permissions{name}" for name in USER_PERMISSIONS)
    for number, set_number, name in zip(profiles, sets, _PROFILES, strict=True):
        profile, parent = make_id(PROFILE_PREFIX, number), make_id(SET_PREFIX, set_number)
        insert(connection, "Profile", ("Id", "Name", *_STAMPS), [(profile, name, *_OF_THE_ORG)])
        row = (parent, f"X{profile}", f"X{profile}", profile, 1, *(1 for _ in flags), *_OF_THE_ORG)
        columns = ("Id", "Name", "Label", "ProfileId", "IsOwnedByProfile", *flags, *_STAMPS)
        insert(connection, "PermissionSet", columns, [row])
        _open_everything(database, connection, parent)


def _open_everything(database: Database, connection: sqlite3.Connection, parent: str) -> None:
    everything = FieldAccess(readable=True, updateable=True)
    for each in STANDARD_OBJECTS:
        if not each.updateable:
            continue
        access.grant_object(database, connection, parent, each.name, granted=True)
        for field in each.fields:
            if field.permissionable:
                name = (each.name, field.name)
                access.grant_field(database, connection, parent, name, everything)


def insert(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[object, ...]],
) -> None:
    """Insert rows into a table."""
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    connection.executemany(f'insert into "{table}" ({names}) values ({marks})', rows)  # noqa: S608
