"""PermissionSet: the same rows as the sObjects PermissionSet, FieldPermissions and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator import access
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.custom_fields import is_true
from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.metadata import refusals
from local.salesforce_emulator.metadata.components import Component, ComponentError, as_list
from local.salesforce_emulator.records import SaveRules
from local.salesforce_emulator.saving import Desk
from local.salesforce_emulator.setup_objects import PERMISSION_SET, USER_PERMISSIONS

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.org import Org

_RIGHTS = {
    "allowRead": "Read",
    "allowCreate": "Create",
    "allowEdit": "Edit",
    "allowDelete": "Delete",
    "viewAllRecords": "ViewAllRecords",
    "modifyAllRecords": "ModifyAllRecords",
}


class PermissionSets:
    """The kind ``PermissionSet``; those that profiles own are none of it [documented]."""

    name = "PermissionSet"

    def names(self, org: Org) -> list[tuple[str, str]]:
        """Return Id and name of each permission set."""
        rows = org.database.read().execute(
            'select "Id", "Name" from "PermissionSet" where "IsOwnedByProfile" = 0 order by 2'
        )
        return rows.fetchall()

    def read(self, org: Org, full_name: str) -> Component | None:
        """Return a permission set with all that it grants."""
        connection = org.database.read()
        set_id = self._id(org, full_name)
        if set_id is None:
            return None
        row = connection.execute(
            'select "Name", "Label", "Description" from "PermissionSet" where "Id" = ?', (set_id,)
        )
        name, label, description = row.fetchone()
        component: Component = {
            "fullName": name,
            "fieldPermissions": _field_permissions(connection, set_id),
            "hasActivationRequired": False,
            "label": label,
            "objectPermissions": _object_permissions(connection, set_id),
            "userPermissions": _user_permissions(connection, set_id),
        }
        return component | ({"description": description} if description else {})

    def create(self, org: Org, user_id: str, component: Component) -> str:
        """Save a new permission set with its grants, or nothing of it."""
        full_name = str(component.get("fullName", ""))
        if self._id(org, full_name) is not None:
            raise refusals.duplicate(self.name, full_name)
        with org.database.write() as connection:
            set_id = _create(org, connection, user_id, component)
            _grant(org, connection, set_id, component)
        org.reload()
        return set_id

    def update(self, org: Org, user_id: str, component: Component) -> None:
        """Add the grants and change the label; what was granted before stays [documented]."""
        set_id = self._id(org, str(component.get("fullName", "")))
        if set_id is None:
            raise refusals.not_found(self.name, str(component.get("fullName")))
        refusals.refuse_unless(org, user_id, "ManageProfilesPermissionsets")
        with org.database.write() as connection:
            connection.execute(
                'update "PermissionSet" set "Label" = ?, "SystemModstamp" = ? where "Id" = ?',
                (component.get("label"), to_stored(now()), set_id),
            )
            _grant(org, connection, set_id, component)
        org.reload()

    def delete(self, org: Org, user_id: str, full_name: str) -> None:
        """Remove a permission set with its grants and assignments."""
        set_id = self._id(org, full_name)
        if set_id is None:
            raise refusals.not_found(self.name, full_name)
        desk = Desk(org, PERMISSION_SET, SaveRules(user_id, "PermissionSet"))
        with org.database.write() as connection:
            (outcome,) = desk.delete(connection, [set_id])
        if isinstance(outcome, RowError):
            raise ComponentError(outcome)
        org.reload()

    def _id(self, org: Org, full_name: str) -> str | None:
        return next((each for each, name in self.names(org) if name == full_name), None)


def _create(org: Org, connection: sqlite3.Connection, user_id: str, component: Component) -> str:
    schema = org.schema_of(user_id)
    names = {"fullName": "Name", "label": "Label", "description": "Description"}
    values = {
        schema.any_field(PERMISSION_SET, column): component[key]
        for key, column in names.items()
        if component.get(key)
    }
    desk = Desk(org, PERMISSION_SET, SaveRules(user_id, "PermissionSet"))
    (outcome,) = desk.create(connection, [values])
    if isinstance(outcome, RowError):
        raise ComponentError(outcome)
    return outcome.record_id


def _grant(org: Org, connection: sqlite3.Connection, set_id: str, component: Component) -> None:
    for each in as_list(component.get("fieldPermissions")):
        _grant_field(org, connection, set_id, each)
    for each in as_list(component.get("objectPermissions")):
        object_type = org.definitions.find_object(str(each.get("object")))
        if object_type is None or not object_type.updateable:
            raise refusals.not_found("CustomObject", str(each.get("object")))
        rights = {right: is_true(each.get(key)) for key, right in _RIGHTS.items()}
        access.grant_rights(org.database, connection, set_id, object_type.name, rights)
    for each in as_list(component.get("userPermissions")):
        if each.get("name") not in USER_PERMISSIONS:
            raise refusals.invalid(f"Unknown user permission: {each.get('name')}", "name")
        connection.execute(
            f'update "PermissionSet" set "Permissions{each["name"]}" = ? where "Id" = ?',  # noqa: S608
            (is_true(each.get("enabled")), set_id),
        )


def _grant_field(
    org: Org, connection: sqlite3.Connection, set_id: str, permission: Component
) -> None:
    sobject, _, name = str(permission.get("field", "")).partition(".")
    object_type = org.definitions.find_object(sobject)
    field = next(
        (each for each in (object_type.fields if object_type else ()) if each.name == name), None
    )
    if object_type is None or field is None:
        raise refusals.not_found("CustomField", str(permission.get("field")))
    if not field.permissionable:  # [documented]
        raise refusals.invalid(f"You cannot deploy to a required field: {sobject}.{name}")
    granted = access.FieldAccess(
        is_true(permission.get("readable")), is_true(permission.get("editable"))
    )
    access.grant_field(org.database, connection, set_id, (object_type.name, field.name), granted)


def _field_permissions(connection: sqlite3.Connection, set_id: str) -> list[Component]:
    rows = connection.execute(
        'select "PermissionsEdit", "Field", "PermissionsRead" from "FieldPermissions"'
        ' where "ParentId" = ? and "PermissionsRead" = 1 order by "Field"',
        (set_id,),
    )
    return [
        {"editable": bool(edit), "field": field, "readable": bool(read)}
        for edit, field, read in rows
    ]


def _object_permissions(connection: sqlite3.Connection, set_id: str) -> list[Component]:
    columns = ", ".join(f'"Permissions{right}"' for right in _RIGHTS.values())
    rows = connection.execute(
        f'select "SobjectType", {columns} from "ObjectPermissions"'  # noqa: S608
        ' where "ParentId" = ? order by 1',
        (set_id,),
    )
    return [
        {"object": name, **dict(zip(_RIGHTS, map(bool, flags), strict=True))}
        for name, *flags in rows
    ]


def _user_permissions(connection: sqlite3.Connection, set_id: str) -> list[Component]:
    columns = ", ".join(f'"Permissions{name}"' for name in USER_PERMISSIONS)
    flags = connection.execute(
        f'select {columns} from "PermissionSet" where "Id" = ?',  # noqa: S608
        (set_id,),
    ).fetchone()
    return [
        {"enabled": True, "name": name}
        for name, flag in zip(USER_PERMISSIONS, flags, strict=True)
        if flag
    ]
