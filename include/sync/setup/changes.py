"""Changes of an org in words: what, and how to undo it. The plan and the steps say the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from include.domain.values import SalesforceObject
from include.salesforce import menu
from include.salesforce.administration import FoundField
from include.salesforce.definitions import PERMISSION_SET, Checkbox
from include.salesforce.permission_sets import Lack
from include.sync.setup.target import Target


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        what: a sentence without its end.
        undo: how an admin takes it back.
    """

    what: str
    undo: str

    def said(self, when: str) -> str:
        """Return it as a line of a plan or of a result."""
        return f"{when}: {self.what}. To undo: {self.undo}."


def of_field(target: Target, wanted: Checkbox) -> list[Change]:
    """Tell of the checkbox: created, or adopted."""
    box = target.checkbox
    changes = [
        Change(
            f"create the checkbox {box.name} ({box.label}) on {obj}",
            f"delete it, its values go with it: {menu.fields(obj)} > {box.label} > Delete",
        )
        for obj in target.missing
    ]
    if target.is_adopted:
        changes.insert(0, _adoption(box, wanted))
    return changes


def of_access(lack: Lack, labels: Mapping[str, str]) -> list[Change]:
    """Tell of the permission set."""
    changes = []
    if lack.the_set:
        changes.append(
            Change(
                f"create the permission set {PERMISSION_SET}",
                f"delete it: {menu.permission_set()} > Delete",
            )
        )
    changes += [
        Change(
            f"let {PERMISSION_SET} read {grant.obj} (all records) and edit it",
            f"untick Read, Edit and View All: {menu.object_access(grant.obj)}",
        )
        for grant in lack.objects
    ]
    changes += [
        Change(
            f"let {PERMISSION_SET} read and edit {grant.full_name}",
            f"untick them: {menu.field_access(grant.obj, labels[grant.field])}",
        )
        for grant in lack.fields
    ]
    if lack.api:
        changes.append(
            Change(
                f"let {PERMISSION_SET} use the API",
                f"untick API Enabled: {menu.system_permissions()}",
            )
        )
    if lack.assignment:
        changes.append(
            Change(
                f"assign {PERMISSION_SET} to the integration user",
                f"remove the assignment: {menu.permission_set()} > Manage Assignments",
            )
        )
    return changes


def of_history(obj: SalesforceObject, fields: Iterable[FoundField], *, keeps: bool) -> list[Change]:
    """Tell of the history of an object and its fields."""
    path = menu.history(obj)
    changes = [
        Change(
            f"track the history of {each.name} on {obj}",
            f"untick it: {path}",
        )
        for each in fields
    ]
    if changes and not keeps:
        changes.insert(0, Change(f"switch on field history for {obj}", f"untick it: {path}"))
    return changes


def of_layout(full_name: str, field: str, section: str) -> Change:
    """Tell of a field on a page layout."""
    obj, _, name = unquote(full_name).partition("-")
    return Change(
        f"show {field} on the page layout {name} of {obj}, last in its column of {section}",
        f"take it off: {menu.layout(obj, name)}",
    )


def said(when: str, changes: Sequence[Change], nothing: str) -> list[str]:
    """Return the lines of a step; one that says so where there was nothing to do."""
    return [each.said(when) for each in changes] or [f"Nothing to do: {nothing}."]


def _adoption(box: Checkbox, wanted: Checkbox) -> Change:
    return Change(
        f"use the checkbox {box.name} ({box.label}), which is there already: the settings name it "
        f"from now on instead of {wanted.name}",
        f"python -m include.cli settings set --sales-field {wanted.name} --by NAME --note WHY",
    )
