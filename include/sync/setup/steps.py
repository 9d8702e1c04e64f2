"""The steps that change the org. Each looks first, does what is missing, and says what it did."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from typing import Final

from sqlalchemy import Engine

from include.audit import settings
from include.domain.errors import TransientSyncError
from include.domain.values import STANDARD_FIELD
from include.salesforce import layouts
from include.salesforce.errors import MissingPermissionError
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.setup import changes
from include.sync.setup.planning import (
    chosen_layouts,
    fields_of,
    history_changes,
    labels_of,
    lacking,
    look,
    missing_sentence,
    place,
    target_of,
    untracked,
)
from include.sync.setup.wish import Org, Wish, require_one_org

log = logging.getLogger(__name__)

SAVED_BY: Final = "salesforce_opt_out_setup"
_TRIES: Final = 5
_DONE: Final = "Done"


class LayoutContestedError(TransientSyncError):
    """Somebody saves a page layout again and again while the setup looks at it."""


def plan(engine: Engine, org: Org, wish: Wish) -> list[str]:
    """Return the plan, what is in its way included; see `look`."""
    return _told(look(engine, org, wish).lines())


def require_permitted(engine: Engine, org: Org, wish: Wish) -> list[str]:
    """Return the plan, unless the user of the setup may not carry all of it out.

    Raises:
        MissingPermissionError: naming what is missing; nothing was changed.
    """
    found = look(engine, org, wish)
    if found.missing:
        raise MissingPermissionError(f"{missing_sentence(found.missing)}. Nothing was changed")
    return _told(found.lines())


def install_field(engine: Engine, org: Org, wish: Wish, *, clock: Clock) -> list[str]:
    """Create the custom checkbox where it is missing, or adopt one that means the same.

    An adopted field is named in a new version of the settings.

    Raises:
        FieldConflictError: a field that is there cannot be the opt-out field.
        DeployFailedError, DeployUnfinishedError, MissingPermissionError: it was not created.
    """
    require_one_org(engine, org)
    target = target_of(org.administration.objects(), wish)
    if target is None:
        return changes.said(_DONE, [], f"{wish.mode} needs no checkbox but {STANDARD_FIELD}")
    if target.missing:
        org.administration.create_checkboxes(target.checkbox, target.missing)
    if target.is_adopted:
        _adopt(engine, target.checkbox.name, target.checkbox.label, clock)
    return _told(
        changes.said(
            _DONE, changes.of_field(target, wish.checkbox), f"{target.checkbox.name} is there"
        )
    )


def grant_access(engine: Engine, org: Org, wish: Wish) -> list[str]:
    """Complete the permission set, and give it to the integration user.

    Raises:
        MissingPermissionError, SalesforceRequestError: Salesforce refused it.
    """
    require_one_org(engine, org)
    target = target_of(org.administration.objects(), wish)
    found, lack = lacking(org, fields_of(wish, target))
    if lack:
        org.administration.supply(org.client.user_id(), found, lack)
    done = changes.of_access(lack, labels_of(wish, target))
    return _told(changes.said(_DONE, done, "the integration user has access"))


def add_to_layouts(engine: Engine, org: Org, wish: Wish) -> list[str]:
    """Show the opt-out fields on the chosen page layouts, after what is there.

    Raises:
        UnknownLayoutError: a chosen layout does not exist.
        LayoutContestedError: somebody saves one again and again.
        DeployFailedError, DeployUnfinishedError, MissingPermissionError: one was not changed.
    """
    if not wish.layouts:
        return changes.said(_DONE, [], "no page layout was chosen")
    require_one_org(engine, org)
    fields = fields_of(wish, target_of(org.administration.objects(), wish))
    names = chosen_layouts(org.administration.layout_names(), wish)
    done = [line for name in names for line in _add_to_layout(org, name, fields)]
    return _told(done)


def track_history(engine: Engine, org: Org, wish: Wish) -> list[str]:
    """Keep a history of the opt-out fields, if that is wished.

    Raises:
        DeployFailedError, DeployUnfinishedError, MissingPermissionError: it is not kept.
    """
    if not wish.track_history:
        return changes.said(_DONE, [], "field history was not asked for")
    require_one_org(engine, org)
    objects = org.administration.objects()
    fields = fields_of(wish, target_of(objects, wish))
    planned = history_changes(objects, fields)
    if planned:
        org.administration.track(untracked(objects, fields))
    return _told(changes.said(_DONE, planned, "the history of the fields is kept"))


def _add_to_layout(org: Org, name: str, fields: Sequence[str]) -> list[str]:
    """Write a layout only if it is still what it was when the change was made up.

    Salesforce has no conditional write here: what somebody saves in the second between the second
    reading and ours would be lost, so the readings are as close to the write as can be.
    """
    for _ in range(_TRIES):
        before = org.administration.read_layouts([name])[name]
        changed = deepcopy(before)
        placed = place(changed, name, fields)
        if not placed:
            return changes.said(_DONE, [], f"{name} shows the fields")
        now = org.administration.read_layouts([name])[name]
        if layouts.canonical(now) == layouts.canonical(before):
            org.administration.write_layout(name, changed)
            return changes.said(_DONE, placed, "")
        log.info("Page layout %s was edited meanwhile: looking again", name)
    raise LayoutContestedError(
        f"somebody is editing the page layout {name}: it was not changed; try again later"
    )


def _adopt(engine: Engine, name: str, label: str, clock: Clock) -> None:
    with transaction(engine) as conn:
        chosen = settings.locked_current(conn).settings
        adopted = chosen.model_dump() | {"sales_opt_out_field": name, "sales_opt_out_label": label}
        settings.save(
            conn,
            settings.Settings.model_validate(adopted),
            saved_by=SAVED_BY,
            note=f"adopted {name}",
            now=clock(),
        )


def _told(lines: list[str]) -> list[str]:
    for each in lines:
        log.info("%s", each)
    return lines
