"""What a night needs of Salesforce, one check after the other, and where an admin mends it.

Preflight, the report of a night, the setup and the pages say the same sentences, because all of
them come from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.domain.values import SalesforceObject
from include.salesforce import menu
from include.salesforce.client import SalesforceClient
from include.salesforce.describe import FieldAccess

if TYPE_CHECKING:
    from include.audit.settings import Settings

_Accesses = Mapping[str, Mapping[SalesforceObject, FieldAccess]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        field: API name of the opt-out field.
        obj: Contact or Lead.
        need: `read` or `write`.
        passed: whether the integration user may do that.
        finding: what was found, a whole sentence.
        fix: what to do, with the menu path in Salesforce's Setup; empty where it passed.
    """

    field: str
    obj: SalesforceObject
    need: str
    passed: bool
    finding: str
    fix: str = ""

    @property
    def sentence(self) -> str:
        """Finding and fix."""
        return f"{self.finding} {self.fix}".rstrip()


def look(client: SalesforceClient, settings: "Settings") -> list[Check]:
    """Ask Salesforce now, as the integration user: each opt-out field of the mode, both objects.

    Raises:
        LoginError, SalesforceUnavailableError: Salesforce cannot be reached.
        FieldSpellingError: Salesforce spells the field in another case.
        FieldTypeError: the field is no checkbox.
    """
    found = {
        field: {obj: client.field_access(obj, field) for obj in SalesforceObject}
        for field in settings.opt_out_fields
    }
    return field_checks(found, settings.opt_out_fields, settings.labels)


def field_checks(
    accesses: _Accesses, fields: Sequence[str], labels: Mapping[str, str]
) -> list[Check]:
    """Judge what describe said of the opt-out fields; a check per field, object and need."""
    return [
        check
        for field in fields
        for obj, access in accesses[field].items()
        for check in _of_field(field, obj, access, labels.get(field, field))
    ]


def problems(accesses: _Accesses, fields: Sequence[str], labels: Mapping[str, str]) -> list[Check]:
    """Return the checks that did not pass; what cannot be read needs no word about writing."""
    failed = [each for each in field_checks(accesses, fields, labels) if not each.passed]
    unreadable = {(each.field, each.obj) for each in failed if each.need == "read"}
    return [
        each for each in failed if each.need == "read" or (each.field, each.obj) not in unreadable
    ]


def _of_field(field: str, obj: SalesforceObject, access: FieldAccess, label: str) -> list[Check]:
    path = menu.field_access(obj, label)
    if not access.readable:
        finding = f"{field} of {obj} cannot be read, so it is not synced:"
        fix = (
            "install the field, or give the integration user read and edit access to it "
            "(field-level security). Run the DAG salesforce_opt_out_setup, or go to "
            f"{path}."
        )
        return [Check(field, obj, need, False, finding, fix) for need in ("read", "write")]
    read = Check(field, obj, "read", True, f"{field} of {obj} can be read.")
    if access.updateable:
        return [read, Check(field, obj, "write", True, f"{field} of {obj} can be written.")]
    finding = f"{field} of {obj} cannot be written:"
    fix = (
        "give the integration user edit access to it (field-level security). "
        f"Run the DAG salesforce_opt_out_setup, or go to {path}."
    )
    return [read, Check(field, obj, "write", False, finding, fix)]
