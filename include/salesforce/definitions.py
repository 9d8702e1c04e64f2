"""What this project installs in an org: the one place that says so.

The setup deploys these definitions, `source` writes them as files for Salesforce's own tools, and
the checks look for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from include.domain.values import STANDARD_FIELD, SalesforceObject
from include.salesforce.menu import PERMISSION_SET_LABEL
from include.salesforce.soap import Element, element, leaf

PERMISSION_SET: Final = "Opt_Out_Sync"
PERMISSION_SET_DESCRIPTION: Final = (
    "What the opt-out sync may do, and no more: read all Contacts and Leads, edit those that are "
    "shared with it, read and edit their opt-out fields, use the API."
)
SYSTEM_PERMISSION: Final = "ApiEnabled"
# The labels of the field that Marketo Sales Insight and its successors install.
ADOPTED_LABELS: Final = ("Marketo Sales Opt Out", "MSE - Opt Out")

_FIELD_DESCRIPTION: Final = (
    "Ticked: salespeople do not mail this person. The opt-out sync keeps it in agreement with the "
    "sales-engagement store."
)
_FIELD_HELP: Final = (
    "Tick it when the person asks not to be mailed by sales. It is only unticked by the person's "
    "documented consent."
)


@dataclass(frozen=True, slots=True)
class Checkbox:
    """The custom checkbox: its API name, and what people read beside it."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class ObjectGrant:
    """What the permission set permits on an object: Read, Edit and View All, never more.

    `view_all`: a record that the user cannot see counts as unknown, so a night must see them all.
    What may be edited follows from sharing; Modify All would permit to delete as well.
    """

    obj: str
    read: bool = True
    edit: bool = True
    view_all: bool = True


@dataclass(frozen=True, slots=True)
class FieldGrant:
    """Read and edit access to one field."""

    obj: str
    field: str

    @property
    def full_name(self) -> str:
        """Such as `Contact.HasOptedOutOfEmail`."""
        return f"{self.obj}.{self.field}"


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that the permission set permits."""

    objects: tuple[ObjectGrant, ...]
    fields: tuple[FieldGrant, ...]


def grants(fields: Sequence[str], *, person_accounts: bool = False) -> Grants:
    """Return what the integration user needs for some opt-out fields.

    Contacts that are half of a person account are written on the Account; the fields there follow
    the field-level security of the Contact's.
    """
    names = [obj.value for obj in SalesforceObject]
    objects = [*names, "Account"] if person_accounts else names
    return Grants(
        tuple(ObjectGrant(each) for each in objects),
        tuple(FieldGrant(obj, field) for obj in names for field in fields),
    )


def checkbox_elements(checkbox: Checkbox, *, tracked: bool | None = None) -> list[Element]:
    """Return a checkbox as the Metadata API describes a field; elements in its order."""
    history = [] if tracked is None else [leaf("trackHistory", tracked)]
    return [
        leaf("fullName", checkbox.name),
        leaf("defaultValue", False),
        leaf("description", _FIELD_DESCRIPTION),
        leaf("inlineHelpText", _FIELD_HELP),
        leaf("label", checkbox.label),
        *history,
        leaf("type", "Checkbox"),
    ]


def tracked_elements(field: str) -> list[Element]:
    """Return what says of a field that exists that its history is kept."""
    return [leaf("fullName", field), leaf("trackHistory", True)]


def permission_set(granted: Grants) -> Element:
    """Return the permission set as a component."""
    return element(
        "PermissionSet",
        leaf("description", PERMISSION_SET_DESCRIPTION),
        *(_field_permissions(each) for each in granted.fields),
        leaf("hasActivationRequired", False),
        leaf("label", PERMISSION_SET_LABEL),
        *(_object_permissions(each) for each in granted.objects),
        element("userPermissions", leaf("enabled", True), leaf("name", SYSTEM_PERMISSION)),
    )


def all_fields(checkbox: Checkbox) -> tuple[str, str]:
    """Return both opt-out fields, whatever the mode."""
    return STANDARD_FIELD, checkbox.name


def _field_permissions(grant: FieldGrant) -> Element:
    return element(
        "fieldPermissions",
        leaf("editable", True),
        leaf("field", grant.full_name),
        leaf("readable", True),
    )


def _object_permissions(grant: ObjectGrant) -> Element:
    return element(
        "objectPermissions",
        leaf("allowCreate", False),
        leaf("allowDelete", False),
        leaf("allowEdit", grant.edit),
        leaf("allowRead", grant.read),
        leaf("modifyAllRecords", False),
        leaf("object", grant.obj),
        leaf("viewAllRecords", grant.view_all),
    )
