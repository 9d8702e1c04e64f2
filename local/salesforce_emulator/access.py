"""Permission sets: what a user may do is everything that any of the assigned ones permits.

Each profile owns one permission set, as in a real org [documented]; here it also stands for the
profile's field-level security and rights on objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.ids import make_id
from local.salesforce_emulator.setup_objects import (
    FIELD_PREFIX,
    OBJECT_PREFIX,
    OBJECT_RIGHTS,
    USER_PERMISSIONS,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from local.salesforce_emulator.database import Database

_SETS_OF_USER = """
select "PermissionSetId" from "PermissionSetAssignment" where "AssigneeId" = ?1
union select "Id" from "PermissionSet" where "IsOwnedByProfile" = 1
    and "ProfileId" = (select "ProfileId" from "User" where "Id" = ?1)"""


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """What field-level security grants on one field."""

    readable: bool
    updateable: bool


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that a user's permission sets permit."""

    fields: dict[tuple[str, str], FieldAccess] = field(default_factory=dict)
    objects: set[tuple[str, str]] = field(default_factory=set)
    permissions: set[str] = field(default_factory=set)


def read_grants(connection: sqlite3.Connection, user_id: str) -> Grants:
    """Return what a user is permitted now."""
    return Grants(
        _fields(connection, user_id), _objects(connection, user_id), _user(connection, user_id)
    )


def _fields(connection: sqlite3.Connection, user_id: str) -> dict[tuple[str, str], FieldAccess]:
    rows = connection.execute(
        'select "SobjectType", "Field", max("PermissionsRead"), max("PermissionsEdit")'  # noqa: S608
        f' from "FieldPermissions" where "ParentId" in ({_SETS_OF_USER}) group by 1, 2',
        (user_id,),
    )
    return {
        (name, full.partition(".")[2]): FieldAccess(bool(read), bool(edit))
        for name, full, read, edit in rows
    }


def _objects(connection: sqlite3.Connection, user_id: str) -> set[tuple[str, str]]:
    columns = ", ".join(f'max("Permissions{right}")' for right in OBJECT_RIGHTS)
    rows = connection.execute(
        f'select "SobjectType", {columns} from "ObjectPermissions"'  # noqa: S608
        f' where "ParentId" in ({_SETS_OF_USER}) group by 1',
        (user_id,),
    )
    return {
        (name, right)
        for name, *flags in rows
        for right, flag in zip(OBJECT_RIGHTS, flags, strict=True)
        if flag
    }


def _user(connection: sqlite3.Connection, user_id: str) -> set[str]:
    columns = ", ".join(f'max("Permissions{name}")' for name in USER_PERMISSIONS)
    flags = connection.execute(
        f'select {columns} from "PermissionSet" where "Id" in ({_SETS_OF_USER})',  # noqa: S608
        (user_id,),
    ).fetchone()
    return {name for name, flag in zip(USER_PERMISSIONS, flags, strict=True) if flag}


def grant_field(
    database: Database,
    connection: sqlite3.Connection,
    parent: str,
    name: tuple[str, str],
    access: FieldAccess,
) -> None:
    """Let a permission set permit exactly this on a field; inside the caller's transaction."""
    sobject, field_name = name
    full = f"{sobject}.{field_name}"
    connection.execute(
        'delete from "FieldPermissions" where "ParentId" = ? and "Field" = ?', (parent, full)
    )
    (number,) = database.next_numbers(connection, FIELD_PREFIX, 1)
    connection.execute(
        'insert into "FieldPermissions" ("Id", "ParentId", "SobjectType", "Field",'
        ' "PermissionsRead", "PermissionsEdit", "SystemModstamp") values (?, ?, ?, ?, ?, ?, ?)',
        (
            make_id(FIELD_PREFIX, number), parent, sobject, full, access.readable,
            access.readable and access.updateable, to_stored(now()),
        ),
    )  # fmt: skip


def grant_object(
    database: Database, connection: sqlite3.Connection, parent: str, sobject: str, *, granted: bool
) -> None:
    """Let a permission set permit everything on an object, or nothing."""
    connection.execute(
        'delete from "ObjectPermissions" where "ParentId" = ? and "SobjectType" = ?',
        (parent, sobject),
    )
    if granted:
        grant_rights(database, connection, parent, sobject, dict.fromkeys(OBJECT_RIGHTS, True))


def grant_rights(
    database: Database,
    connection: sqlite3.Connection,
    parent: str,
    sobject: str,
    rights: Mapping[str, bool],
) -> None:
    """Let a permission set permit exactly these rights on an object."""
    connection.execute(
        'delete from "ObjectPermissions" where "ParentId" = ? and "SobjectType" = ?',
        (parent, sobject),
    )
    (number,) = database.next_numbers(connection, OBJECT_PREFIX, 1)
    names = ", ".join(f'"Permissions{right}"' for right in OBJECT_RIGHTS)
    flags = [rights.get(right, False) for right in OBJECT_RIGHTS]
    connection.execute(
        f'insert into "ObjectPermissions" ("Id", "ParentId", "SobjectType", {names},'  # noqa: S608
        f' "SystemModstamp") values (?, ?, ?, {", ".join("?" for _ in flags)}, ?)',
        (make_id(OBJECT_PREFIX, number), parent, sobject, *flags, to_stored(now())),
    )


def profile_set(connection: sqlite3.Connection, user_id: str) -> str:
    """Return the Id of the permission set which the user's profile owns."""
    row = connection.execute(
        'select "Id" from "PermissionSet" where "IsOwnedByProfile" = 1 and "ProfileId" ='
        ' (select "ProfileId" from "User" where "Id" = ?)',
        (user_id,),
    )
    (found,) = row.fetchone()
    return str(found)
