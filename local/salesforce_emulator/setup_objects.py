"""Objects in which administrators keep who may do what; labels and fields as documented."""

from __future__ import annotations

from dataclasses import replace

from local.salesforce_emulator.objects import (
    RECORD_OBJECTS,
    STAMPS,
    Field,
    ObjectType,
    system_field,
)

USER_PERMISSIONS = {
    "ApiEnabled": "API Enabled",
    "ViewSetup": "View Setup and Configuration",
    "CustomizeApplication": "Customize Application",
    "ModifyMetadata": "Modify Metadata Through Metadata API Functions",
    "ManageProfilesPermissionsets": "Manage Profiles and Permission Sets",
    "AssignPermissionSets": "Assign Permission Sets",
    "ViewAllData": "View All Data",
    "ModifyAllData": "Modify All Data",
}
OBJECT_RIGHTS = ("Read", "Create", "Edit", "Delete", "ViewAllRecords", "ModifyAllRecords")
PROFILE_PREFIX, SET_PREFIX, ASSIGNMENT_PREFIX = "00e", "0PS", "0Pa"
FIELD_PREFIX, OBJECT_PREFIX = "01k", "110"


def _id(label: str) -> Field:
    return system_field("Id", "id", label, 18)


def _text(name: str, label: str, length: int, **extra: object) -> Field:
    field = Field(name, "string", label, length, permissionable=False)
    return replace(field, **extra)  # type: ignore[arg-type]


def _flag(name: str, label: str) -> Field:
    return Field(name, "boolean", label, nillable=False, permissionable=False)


def _reference(name: str, label: str, target: str, relationship: str) -> Field:
    """Return a reference which is given once, when the record is created."""
    return Field(
        name,
        "reference",
        label,
        18,
        nillable=False,
        updateable=False,
        createable=True,
        permissionable=False,
        reference_to=(target,),
        relationship=relationship,
    )


def _set_up(name: str, prefix: str, plural: str, *fields: Field) -> ObjectType:
    return ObjectType(name, prefix, plural, fields, updateable=False, is_setup=True)


PROFILE = ObjectType(
    "Profile",
    PROFILE_PREFIX,
    "Profile",
    (_id("Profile ID"), _text("Name", "Name", 255, updateable=False), *STAMPS),
    updateable=False,
)

PERMISSION_SET = _set_up(
    "PermissionSet",
    SET_PREFIX,
    "Permission Sets",
    _id("PermissionSet ID"),
    _text("Name", "Permission Set Name", 80, nillable=False),
    _text("Label", "Permission Set Label", 80, nillable=False),
    _text("Description", "Description", 255),
    replace(
        _reference("ProfileId", "Profile ID", "Profile", "Profile"), nillable=True, createable=False
    ),
    replace(_flag("IsOwnedByProfile", "Is Owned By Profile"), updateable=False),
    replace(_flag("IsCustom", "Custom"), updateable=False),
    *(_flag(f"Permissions{name}", label) for name, label in USER_PERMISSIONS.items()),
    *STAMPS,
)

PERMISSION_SET_ASSIGNMENT = _set_up(
    "PermissionSetAssignment",
    ASSIGNMENT_PREFIX,
    "Permission Set Assignments",
    _id("PermissionSetAssignment ID"),
    _reference("PermissionSetId", "PermissionSet ID", "PermissionSet", "PermissionSet"),
    _reference("AssigneeId", "Assignee ID", "User", "Assignee"),
    system_field("SystemModstamp", "datetime", "Date Assigned"),
)

FIELD_PERMISSIONS = _set_up(
    "FieldPermissions",
    FIELD_PREFIX,
    "Field Permissions",
    _id("Field Permissions ID"),
    _reference("ParentId", "Parent ID", "PermissionSet", "Parent"),
    _text(
        "SobjectType", "Sobject Type Name", 40, nillable=False, updateable=False, createable=True
    ),
    _text("Field", "Field Name", 255, nillable=False, updateable=False, createable=True),
    _flag("PermissionsRead", "Read Field"),
    _flag("PermissionsEdit", "Edit Field"),
    system_field("SystemModstamp", "datetime", "System Modstamp"),
)

OBJECT_PERMISSIONS = _set_up(
    "ObjectPermissions",
    OBJECT_PREFIX,
    "Object Permissions",
    _id("Object Permissions ID"),
    _reference("ParentId", "Parent ID", "PermissionSet", "Parent"),
    _text(
        "SobjectType", "Sobject Type Name", 40, nillable=False, updateable=False, createable=True
    ),
    *(_flag(f"Permissions{name}", f"{name} Records") for name in OBJECT_RIGHTS),
    *STAMPS,
)

SETUP_OBJECTS = (
    PROFILE,
    PERMISSION_SET,
    PERMISSION_SET_ASSIGNMENT,
    FIELD_PERMISSIONS,
    OBJECT_PERMISSIONS,
)
STANDARD_OBJECTS = (*RECORD_OBJECTS, *SETUP_OBJECTS)
