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
    "textarea",
    "url",
    "double",
    "boolean",
    "datetime",
    "date",
    "anyType",
    "complexvalue",
]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of an object, before field-level security. Compared by identity, for speed.

    ``expression`` is the SQL of a computed field, which has no column of its own; ``{table}`` in
    it stands for the table. ``mirrors`` is the field of the person Contact which a field of a
    person account shows and writes. ``permissionable`` fields can be hidden or made read-only by
    field-level security. ``createable`` is like ``updateable`` unless it says otherwise.
    ``external_id`` fields can be upserted by, ``lookup`` fields too [documented]. ``choices`` are
    the values of a restricted picklist.
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
    mirrors: str | None = None
    createable: bool | None = None
    external_id: bool = False
    unique: bool = False
    lookup: bool = False
    default: object = None
    choices: tuple[str, ...] = ()
    help: str | None = None

    @property
    def sql(self) -> str:
        """The SQL which yields the value, where only one table is in sight."""
        if self.expression is None:
            return f'"{self.name}"'
        return self.expression.replace("{table}.", "")

    def sql_in(self, table: str) -> str:
        """Return the SQL which yields the value of the row that ``table`` names."""
        if self.expression is None:
            return f'"{table}"."{self.name}"'
        return self.expression.replace("{table}", f'"{table}"')

    @property
    def is_createable(self) -> bool:
        """Whether a new record may be given a value, before field-level security."""
        return self.updateable if self.createable is None else self.createable


@dataclass(frozen=True, slots=True, eq=False)
class ObjectType:
    """One sObject; its SQLite table has the same name, its columns are named as its fields.

    ``updateable`` objects hold the records people work with. ``is_setup`` ones hold what
    administrators set up: they are saved through the API too, and deleted for good.
    ``history_of`` is the object whose changes the rows of this one tell.
    """

    name: str
    key_prefix: str
    plural: str
    fields: tuple[Field, ...]
    updateable: bool = True
    history_of: str | None = None
    is_setup: bool = False
    is_createable: bool = True

    @property
    def saves(self) -> bool:
        """Whether API clients may save records of it at all."""
        return self.updateable or self.is_setup

    def has(self, name: str) -> bool:
        """Whether the object has a field of exactly this name."""
        return any(field.name == name for field in self.fields)


def system_field(name: str, kind: FieldType, label: str, length: int = 0, **extra: object) -> Field:
    """Return a field which Salesforce fills and nobody can restrict."""
    field = Field(name, kind, label, length, nillable=False, updateable=False, permissionable=False)
    return replace(field, **extra)  # type: ignore[arg-type]


def user_field(name: str, label: str, relationship: str) -> Field:
    """Return a reference to a user which Salesforce fills."""
    """Return a reference to a user which Salesforce fills."""
    return system_field(
        name, "reference", label, 18, reference_to=("User",), relationship=relationship
    )


def _master(name: str) -> Field:
    return system_field(
        "MasterRecordId",
        "reference",
        "Master Record ID",
        18,
        nillable=True,
        reference_to=(name,),
        relationship="MasterRecord",
    )


def _required(name: str, kind: FieldType, label: str, length: int) -> Field:
    return Field(name, kind, label, length, nillable=False, permissionable=False)


def _head(label: str) -> tuple[Field, ...]:
    return system_field("Id", "id", f"{label} ID", 18), system_field(
        "IsDeleted", "boolean", "Deleted"
    )


STAMPS = (
    system_field("CreatedDate", "datetime", "Created Date"),
    user_field("CreatedById", "Created By ID", "CreatedBy"),
    system_field("LastModifiedDate", "datetime", "Last Modified Date"),
    user_field("LastModifiedById", "Last Modified By ID", "LastModifiedBy"),
    system_field("SystemModstamp", "datetime", "System Modstamp"),
)

_OWNER = replace(user_field("OwnerId", "Owner ID", "Owner"), updateable=True)


def _person(master: str, name_sql: str) -> tuple[Field, ...]:
    """Return the fields which Contact and Lead share, labels and lengths as recorded."""
    return (
        _master(master),
        _required("LastName", "string", "Last Name", 80),
        Field("FirstName", "string", "First Name", 40, permissionable=False),
        Field("Salutation", "picklist", "Salutation", 40, permissionable=False),
        system_field("Name", "string", "Full Name", 121, expression=name_sql),
        Field("Title", "string", "Title", 128),
        Field("Phone", "phone", "Phone", 40),
        Field("Email", "email", "Email", 80, lookup=True),
        # Salesforce ships this field hidden from all profiles; this org has it already opened.
        Field("HasOptedOutOfEmail", "boolean", "Email Opt Out", nillable=False),
    )


_FULL_NAME = "ltrim(coalesce({table}.\"FirstName\", '') || ' ' || {table}.\"LastName\")"

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
        *STAMPS,
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
        system_field("IsConverted", "boolean", "Converted"),
        system_field("ConvertedDate", "date", "Converted Date", nillable=True),
        system_field(
            "ConvertedContactId",
            "reference",
            "Converted Contact ID",
            18,
            nillable=True,
            reference_to=("Contact",),
            relationship="ConvertedContact",
        ),
        *STAMPS,
    ),
)

ACCOUNT = ObjectType(
    "Account",
    "001",
    "Accounts",
    (
        *_head("Account"),
        _master("Account"),
        _required("Name", "string", "Account Name", 255),
        Field("Phone", "phone", "Account Phone", 40),
        _OWNER,
        *STAMPS,
    ),
)

USER = ObjectType(
    "User",
    "005",
    "Users",
    (
        system_field("Id", "id", "User ID", 18),
        _required("Username", "string", "Username", 80),
        system_field("Alias", "string", "Alias", 8, nillable=True),
        system_field(
            "ProfileId",
            "reference",
            "Profile ID",
            18,
            reference_to=("Profile",),
            relationship="Profile",
        ),
        system_field("UserType", "picklist", "User Type", 40, nillable=True),
        _required("LastName", "string", "Last Name", 80),
        Field("FirstName", "string", "First Name", 40, permissionable=False),
        system_field("Name", "string", "Full Name", 121, expression=_FULL_NAME),
        _required("Email", "email", "Email", 128),
        system_field("IsActive", "boolean", "Active"),
        *STAMPS,
    ),
    updateable=False,
)

ORGANIZATION = ObjectType(
    "Organization",
    "00D",
    "Organizations",
    (
        system_field("Id", "id", "Organization ID", 18),
        _required("Name", "string", "Name", 80),
        system_field("IsSandbox", "boolean", "Is Sandbox"),
        system_field("InstanceName", "string", "Instance Name", 5),
        system_field("OrganizationType", "picklist", "Edition", 40),
        system_field("NamespacePrefix", "string", "Namespace Prefix", 15, nillable=True),
        system_field("TrialExpirationDate", "datetime", "Trial Expiration Date", nillable=True),
        *STAMPS,
    ),
    updateable=False,
)


def _history(parent: ObjectType) -> ObjectType:
    """Return the object with the field history of ``parent``; fields as documented."""
    parent_id = system_field(
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
        user_field("CreatedById", "Created By ID", "CreatedBy"),
        system_field("CreatedDate", "datetime", "Created Date"),
        system_field("Field", "picklist", "Changed Field", 255),
        system_field("OldValue", "anyType", "Old Value", 255, nillable=True),
        system_field("NewValue", "anyType", "New Value", 255, nillable=True),
    )
    name = f"{parent.name}History"
    return ObjectType(name, HISTORY_PREFIX, name, fields, updateable=False, history_of=parent.name)


HISTORY_PREFIX = "017"  # every standard history object has it [assumed]
CONTACT_HISTORY = _history(CONTACT)
LEAD_HISTORY = _history(LEAD)
ACCOUNT_HISTORY = _history(ACCOUNT)

RECORD_OBJECTS = (
    CONTACT, LEAD, ACCOUNT, USER, ORGANIZATION, CONTACT_HISTORY, LEAD_HISTORY, ACCOUNT_HISTORY,
)  # fmt: skip
