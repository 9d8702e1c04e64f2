"""What there is, and what a setup would change: a plan writes nothing anywhere."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from sqlalchemy import Engine

from include.domain.errors import PermanentSyncError
from include.domain.values import STANDARD_FIELD, STANDARD_LABEL, SalesforceObject
from include.salesforce import layouts
from include.salesforce.administration import FoundField, FoundObject
from include.salesforce.definitions import Grants, grants
from include.salesforce.errors import MissingPermissionError
from include.salesforce.permission_sets import FoundSet, Lack
from include.salesforce.soap import Element
from include.sync.setup import changes
from include.sync.setup.changes import Change
from include.sync.setup.target import Objects, Target, resolve
from include.sync.setup.wish import Org, Wish, require_one_org

log = logging.getLogger(__name__)

_TO_LOOK: Final = ("ModifyMetadata", "ViewSetup")
_OF_METADATA: Final = (*_TO_LOOK, "CustomizeApplication")
_OF_ACCESS: Final = ("ViewSetup", "ManageProfilesPermissionsets", "AssignPermissionSets")


class UnknownLayoutError(PermanentSyncError):
    """A page layout that was chosen does not exist."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a setup would do.

    Attributes:
        found: what there is, a sentence each.
        changes: what would be changed, in order.
        missing: labels of permissions that the user of the setup would need and does not have.
    """

    found: tuple[str, ...]
    changes: tuple[Change, ...]
    missing: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the plan as sentences."""
        planned = changes.said("Planned", self.changes, "everything is as it should be")
        obstacles = [f"In the way: {missing_sentence(self.missing)}"] if self.missing else []
        return [*self.found, *planned, *obstacles]


def missing_sentence(labels: Sequence[str]) -> str:
    """Say which permissions the user of the setup needs."""
    return (
        f"the user of the setup's Connection lacks {', '.join(labels)}: give them to it (Setup > "
        "Users > Permission Sets), or choose another Connection with the parameter admin_connection"
    )


def look(engine: Engine, org: Org, wish: Wish) -> Plan:
    """Look at the org and say what a setup would change.

    Raises:
        FieldConflictError: a field that is there cannot be the opt-out field.
        UnknownLayoutError: a chosen layout does not exist.
        TwoOrgsError, WrongOrgError: the Connections lead elsewhere.
        MissingPermissionError: the user of the setup may not even look.
    """
    org_id = require_one_org(engine, org)
    if unable := org.administration.missing_permissions(_TO_LOOK):
        raise MissingPermissionError(
            f"{missing_sentence(unable)}. Without them it cannot even look"
        )
    objects = org.administration.objects()
    target = target_of(objects, wish)
    fields = fields_of(wish, target)
    _, lack = lacking(org, fields)
    names = org.administration.layout_names()
    planned = [
        *(changes.of_field(target, wish.checkbox) if target else []),
        *changes.of_access(lack, labels_of(wish, target)),
        *_layout_changes(org, wish, fields, names),
        *(history_changes(objects, fields) if wish.track_history else []),
    ]
    needed = {*(_OF_METADATA if planned else ()), *(_OF_ACCESS if lack else ())}
    return Plan(
        (f"Salesforce org {org_id}.", *_described(org, objects, fields), _listed(names)),
        tuple(planned),
        tuple(org.administration.missing_permissions(needed)),
    )


def target_of(objects: Objects, wish: Wish) -> Target | None:
    """Return the custom checkbox, None where it is not wanted.

    Raises:
        FieldConflictError: a field that is there cannot be the opt-out field.
    """
    return resolve(objects, wish.checkbox) if wish.wants_checkbox else None


def fields_of(wish: Wish, target: Target | None) -> tuple[str, ...]:
    """Return the API names of the opt-out fields."""
    return wish.fields((target.checkbox if target else wish.checkbox).name)


def labels_of(wish: Wish, target: Target | None) -> dict[str, str]:
    """Return what people read beside each field."""
    checkbox = target.checkbox if target else wish.checkbox
    return {STANDARD_FIELD: STANDARD_LABEL, checkbox.name: checkbox.label}


def lacking(org: Org, fields: Sequence[str]) -> tuple[FoundSet, Lack]:
    """Return the permission set and what it lacks."""
    wanted = wanted_grants(org, fields)
    return org.administration.lacking(org.client.user_id(), wanted)


def wanted_grants(org: Org, fields: Sequence[str]) -> Grants:
    """Return what the integration user needs in this org."""
    return grants(fields, person_accounts=org.administration.has_person_accounts())


def untracked(objects: Objects, fields: Sequence[str]) -> dict[SalesforceObject, list[FoundField]]:
    """Return by object the fields whose history is not kept, also those that are not there yet."""
    found = {}
    for obj, definition in objects.items():
        own = [definition.fields.get(each.lower(), FoundField(each)) for each in fields]
        missing = [each for each in own if not each.is_tracked]
        if missing or not definition.keeps_history:
            found[obj] = missing or own
    return found


def history_changes(objects: Objects, fields: Sequence[str]) -> list[Change]:
    """Return what has to be done so that the history of the fields is kept."""
    return [
        change
        for obj, missing in untracked(objects, fields).items()
        for change in changes.of_history(obj, missing, keeps=objects[obj].keeps_history)
    ]


def chosen_layouts(names: Sequence[str], wish: Wish) -> list[str]:
    """Return the chosen layouts as Salesforce spells them.

    Raises:
        UnknownLayoutError: one does not exist.
    """
    spelled = {unquote(each): each for each in names}
    unknown = [each for each in wish.layouts if each not in spelled]
    if unknown:
        raise UnknownLayoutError(
            f"there is no page layout {', '.join(unknown)}: nothing was changed. There are "
            f"{', '.join(sorted(spelled))}"
        )
    return [spelled[each] for each in wish.layouts]


def place(layout: Element, full_name: str, fields: Sequence[str]) -> list[Change]:
    """Put the fields that a layout does not show on it, and say where."""
    return [
        changes.of_layout(full_name, field, layouts.add_field(layout, field, fields))
        for field in fields
        if not layouts.has_field(layout, field)
    ]


def _layout_changes(
    org: Org, wish: Wish, fields: Sequence[str], names: Sequence[str]
) -> list[Change]:
    found = org.administration.read_layouts(chosen_layouts(names, wish))
    return [
        change for name, each in found.items() for change in place(deepcopy(each), name, fields)
    ]


def _described(org: Org, objects: Objects, fields: Sequence[str]) -> list[str]:
    return [
        f"{field} of {obj}: {_seen(org, definition, field)}."
        for obj, definition in objects.items()
        for field in fields
    ]


def _seen(org: Org, definition: FoundObject, field: str) -> str:
    if field != STANDARD_FIELD and field.lower() not in definition.fields:
        return "not there"
    access = org.client.field_access(definition.obj, field)
    if not access.readable:
        return "there, hidden from the integration user"
    return f"there, the integration user can read{' and write' if access.updateable else ''} it"


def _listed(names: Sequence[str]) -> str:
    return f"Page layouts: {', '.join(sorted(unquote(each) for each in names))}."
