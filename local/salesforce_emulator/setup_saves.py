"""What is checked when an administrator's object is saved: permission sets and what they grant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.values import RefusedValueError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.schema import Schema

    Columns = Mapping[str, object]
    Check = Callable[[sqlite3.Connection, Schema, Columns], dict[str, object]]

_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*\Z")
_NEEDED = {
    "PermissionSet": "ManageProfilesPermissionsets",
    "FieldPermissions": "ManageProfilesPermissionsets",
    "ObjectPermissions": "ManageProfilesPermissionsets",
    "PermissionSetAssignment": "AssignPermissionSets",
}
NO_ACCESS = RowError(
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "insufficient access rights on cross-reference id",
)  # [documented]
_DUPLICATE = RowError(
    "DUPLICATE_VALUE",
    "duplicate value found: <unknown> duplicates value on record with id: <unknown>",
)  # [captured]


def refused(schema: Schema, object_type: ObjectType) -> RowError | None:
    """Return the refusal of a user who may not change this administrator's object."""
    needed = _NEEDED.get(object_type.name)
    return None if needed is None or schema.may(needed) else NO_ACCESS


def completed(
    connection: sqlite3.Connection, schema: Schema, object_type: ObjectType, columns: Columns
) -> dict[str, object]:
    """Check a new record and return the columns which Salesforce fills.

    Raises:
        RefusedValueError: it cannot be saved.
    """
    if refusal := refused(schema, object_type):
        raise RefusedValueError(refusal)
    return _CHECKS[object_type.name](connection, schema, columns)


def _permission_set(
    connection: sqlite3.Connection, _schema: Schema, columns: Columns
) -> dict[str, object]:
    name = str(columns["Name"])
    if not _NAME.match(name):  # [documented]
        message = (
            "The Permission Set API Name can only contain underscores and alphanumeric characters. "
            "It must be unique, begin with a letter, not include spaces, not end with an "
            "underscore, and not contain two consecutive underscores."
        )
        raise RefusedValueError(RowError("INVALID_INPUT", message, ("Name",)))
    if _exists(connection, "PermissionSet", {"Name": name}):
        message = f"The Permission Set API Name {name} is in use"  # [assumed wording]
        raise RefusedValueError(RowError("DUPLICATE_DEVELOPER_NAME", message, ("Name",)))
    return {"IsCustom": 1, "IsOwnedByProfile": 0}


def _field_permissions(
    connection: sqlite3.Connection, schema: Schema, columns: Columns
) -> dict[str, object]:
    _refuse_parent(connection, columns)
    sobject, full = str(columns["SobjectType"]), str(columns["Field"])
    object_name, _, name = full.partition(".")
    if object_name.lower() != sobject.lower() or not _is_permissionable(schema, sobject, name):
        raise RefusedValueError(_bad_choice("Field Name", full, "Field"))  # [documented]
    object_type = schema.any_object(sobject)
    full = f"{object_type.name}.{schema.any_field(object_type, name).name}"
    key = {"ParentId": columns["ParentId"], "Field": full}
    if _exists(connection, "FieldPermissions", key):
        raise RefusedValueError(_DUPLICATE)
    refuse_edit_without_read(columns)
    return {"SobjectType": object_type.name, "Field": full}


def refuse_edit_without_read(columns: Columns) -> None:
    """Refuse a right to edit what may not be read [documented].

    Raises:
        RefusedValueError: it is one.
    """
    if columns.get("PermissionsEdit") and not columns.get("PermissionsRead"):
        message = "Permission to edit a field depends on permission to read it"  # [assumed wording]
        raise RefusedValueError(
            RowError("FIELD_INTEGRITY_EXCEPTION", message, ("PermissionsEdit",))
        )


def _is_permissionable(schema: Schema, sobject: str, name: str) -> bool:
    object_type = schema.find_any(sobject)
    if object_type is None or not object_type.updateable:
        return False
    try:
        return schema.any_field(object_type, name).permissionable
    except UnknownFieldError:
        return False


def _object_permissions(
    connection: sqlite3.Connection, schema: Schema, columns: Columns
) -> dict[str, object]:
    _refuse_parent(connection, columns)
    sobject = str(columns["SobjectType"])
    object_type = schema.find_any(sobject)
    if object_type is None or not object_type.updateable:
        raise RefusedValueError(_bad_choice("Sobject Type Name", sobject, "SobjectType"))
    key = {"ParentId": columns["ParentId"], "SobjectType": object_type.name}
    if _exists(connection, "ObjectPermissions", key):
        raise RefusedValueError(_DUPLICATE)
    return {"SobjectType": object_type.name}


def _assignment(
    connection: sqlite3.Connection, _schema: Schema, columns: Columns
) -> dict[str, object]:
    for table, column in (("PermissionSet", "PermissionSetId"), ("User", "AssigneeId")):
        _refuse_missing(connection, table, column, columns)
    key = {name: columns[name] for name in ("PermissionSetId", "AssigneeId")}
    if _exists(connection, "PermissionSetAssignment", key):
        raise RefusedValueError(_DUPLICATE)
    return {}


def _refuse_parent(connection: sqlite3.Connection, columns: Columns) -> None:
    """Refuse grants to no permission set, and to one that a profile owns [documented]."""
    _refuse_missing(connection, "PermissionSet", "ParentId", columns)
    if _exists(connection, "PermissionSet", {"Id": columns["ParentId"], "IsOwnedByProfile": 1}):
        raise RefusedValueError(NO_ACCESS)


def _refuse_missing(
    connection: sqlite3.Connection, table: str, column: str, columns: Columns
) -> None:
    if not _exists(connection, table, {"Id": columns[column]}):
        error = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (column,))
        raise RefusedValueError(error)


def _exists(connection: sqlite3.Connection, table: str, key: Columns) -> bool:
    condition = " and ".join(f'"{name}" = ? collate nocase' for name in key)
    row = connection.execute(f'select 1 from "{table}" where {condition}', tuple(key.values()))  # noqa: S608
    return row.fetchone() is not None


def _bad_choice(label: str, value: str, field: str) -> RowError:
    return RowError(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        f"{label}: bad value for restricted picklist field: {value}",
        (field,),
    )


_CHECKS: dict[str, Check] = {
    "PermissionSet": _permission_set,
    "FieldPermissions": _field_permissions,
    "ObjectPermissions": _object_permissions,
    "PermissionSetAssignment": _assignment,
}
