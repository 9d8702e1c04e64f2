"""The standard objects this org has, and what is true of their fields in any org."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

FieldType = Literal[
    "id",
    "reference",
    "string",
    "email",
    "phone",
    "picklist",
    "boolean",
    "datetime",
    "date",
    "anyType",
]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of an object, before field-level security. Compared by identity, for speed.

    ``expression`` is the SQL of a computed field, which has no column of its own.
    ``permissionable`` fields can be hidden or made read-only by field-level security.
    """

    name: str
    type: FieldType
    label: str
    length: int = 0
    nillable: bool = True
    updateable: bool = True
    permissionable: bool = True
    custom: bool = False
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    expression: str | None = None

    @property
    def sql(self) -> str:
        """The SQL which yields the value."""
        return self.expression or f'"{self.name}"'


@dataclass(frozen=True, slots=True, eq=False)
class ObjectType:
    """One sObject; its SQLite table has the same name, its columns are named as its fields.

    ``history_of`` is the object whose changes the rows of this one tell.
    """

    name: str
    key_prefix: str
    plural: str
    fields: tuple[Field, ...]
    updateable: bool = True
    history_of: str | None = None

    def has(self, name: str) -> bool:
        """Whether the object has a field of exactly this name."""
        return any(field.name == name for field in self.fields)


def _system(name: str, kind: FieldType, label: str, length: int = 0, **extra: object) -> Field:
    field = Field(name, kind, label, length, nillable=False, updateable=False, permissionable=False)
    return replace(field, **extra)  # type: ignore[arg-type]


def _user(name: str, label: str, relationship: str) -> Field:
    return _system(name, "reference", label, 18, reference_to=("User",), relationship=relationship)


def _required(name: str, kind: FieldType, label: str, length: int) -> Field:
    return Field(name, kind, label, length, nillable=False, permissionable=False)


def _head(label: str) -> tuple[Field, ...]:
    return _system("Id", "id", f"{label} ID", 18), _system("IsDeleted", "boolean", "Deleted")


_STAMPS = (
    _system("CreatedDate", "datetime", "Created Date"),
    _user("CreatedById", "Created By ID", "CreatedBy"),
    _system("LastModifiedDate", "datetime", "Last Modified Date"),
    _user("LastModifiedById", "Last Modified By ID", "LastModifiedBy"),
    _system("SystemModstamp", "datetime", "System Modstamp"),
)

_OWNER = replace(_user("OwnerId", "Owner ID", "Owner"), updateable=True)


def _person(master: str, name_sql: str) -> tuple[Field, ...]:
    """Return the fields which Contact and Lead share, labels and lengths as recorded."""
    return (
        _system(
            "MasterRecordId",
            "reference",
            "Master Record ID",
            18,
            nillable=True,
            reference_to=(master,),
            relationship="MasterRecord",
        ),
        _required("LastName", "string", "Last Name", 80),
        Field("FirstName", "string", "First Name", 40, permissionable=False),
        Field("Salutation", "picklist", "Salutation", 40, permissionable=False),
        _system("Name", "string", "Full Name", 121, expression=name_sql),
        Field("Title", "string", "Title", 128),
        Field("Phone", "phone", "Phone", 40),
        Field("Email", "email", "Email", 80),
        # Salesforce ships this field hidden from all profiles; this org has it already opened.
        Field("HasOptedOutOfEmail", "boolean", "Email Opt Out", nillable=False),
    )


_FULL_NAME = "ltrim(coalesce(\"FirstName\", '') || ' ' || \"LastName\")"

CONTACT = ObjectType(
    "Contact",
    "003",
    "Contacts",
    (
        *_head("Contact"),
        *_person("Contact", _FULL_NAME),
        Field(
            "AccountId",
            "reference",
            "Account ID",
            18,
            reference_to=("Account",),
            relationship="Account",
        ),
        _OWNER,
        *_STAMPS,
    ),
)

LEAD = ObjectType(
    "Lead",
    "00Q",
    "Leads",
    (
        *_head("Lead"),
        *_person("Lead", _FULL_NAME),
        _required("Company", "string", "Company", 255),
        _required("Status", "picklist", "Status", 255),
        _OWNER,
        _system("IsConverted", "boolean", "Converted"),
        _system("ConvertedDate", "date", "Converted Date", nillable=True),
        _system(
            "ConvertedContactId",
            "reference",
            "Converted Contact ID",
            18,
            nillable=True,
            reference_to=("Contact",),
            relationship="ConvertedContact",
        ),
        *_STAMPS,
    ),
)

ACCOUNT = ObjectType(
    "Account",
    "001",
    "Accounts",
    (
        *_head("Account"),
        _required("Name", "string", "Account Name", 255),
        Field("Phone", "phone", "Account Phone", 40),
        _OWNER,
        *_STAMPS,
    ),
)

USER = ObjectType(
    "User",
    "005",
    "Users",
    (
        _system("Id", "id", "User ID", 18),
        _required("Username", "string", "Username", 80),
        _required("LastName", "string", "Last Name", 80),
        Field("FirstName", "string", "First Name", 40, permissionable=False),
        _system("Name", "string", "Full Name", 121, expression=_FULL_NAME),
        _required("Email", "email", "Email", 128),
        _system("IsActive", "boolean", "Active"),
        *_STAMPS,
    ),
    updateable=False,
)

ORGANIZATION = ObjectType(
    "Organization",
    "00D",
    "Organizations",
    (
        _system("Id", "id", "Organization ID", 18),
        _required("Name", "string", "Name", 80),
        _system("IsSandbox", "boolean", "Is Sandbox"),
        _system("InstanceName", "string", "Instance Name", 5),
        _system("OrganizationType", "picklist", "Edition", 40),
        *_STAMPS,
    ),
    updateable=False,
)


def _history(parent: ObjectType) -> ObjectType:
    """Return the object with the field history of ``parent``; fields as documented."""
    parent_id = _system(
        f"{parent.name}Id",
        "reference",
        f"{parent.name} ID",
        18,
        reference_to=(parent.name,),
        relationship=parent.name,
    )
    fields = (
        *_head("History"),
        parent_id,
        _user("CreatedById", "Created By ID", "CreatedBy"),
        _system("CreatedDate", "datetime", "Created Date"),
        _system("Field", "picklist", "Changed Field", 255),
        _system("OldValue", "anyType", "Old Value", 255, nillable=True),
        _system("NewValue", "anyType", "New Value", 255, nillable=True),
    )
    name = f"{parent.name}History"
    return ObjectType(name, HISTORY_PREFIX, name, fields, updateable=False, history_of=parent.name)


HISTORY_PREFIX = "017"  # every standard history object has it [captured]
CONTACT_HISTORY = _history(CONTACT)
LEAD_HISTORY = _history(LEAD)

STANDARD_OBJECTS = (CONTACT, LEAD, ACCOUNT, USER, ORGANIZATION, CONTACT_HISTORY, LEAD_HISTORY)
