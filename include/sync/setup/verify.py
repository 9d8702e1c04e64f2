"""The last step of a setup: see the org as the integration user sees it."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from sqlalchemy import Engine

from include.audit import settings
from include.domain.errors import PermanentSyncError
from include.domain.values import SalesforceObject
from include.salesforce import layouts
from include.store.database import transaction
from include.sync import checks
from include.sync.setup.planning import (
    chosen_layouts,
    fields_of,
    history_changes,
    labels_of,
    lacking,
    target_of,
)
from include.sync.setup.target import Objects
from include.sync.setup.wish import Org, Wish, require_one_org

log = logging.getLogger(__name__)


class NotInstalledError(PermanentSyncError):
    """After the setup something is still not as it should be; the message lists it."""


def verify(engine: Engine, org: Org, wish: Wish) -> list[str]:
    """Ask for everything again, the fields as the integration user.

    Returns:
        What is there, and what the settings do not say yet.

    Raises:
        NotInstalledError: something is missing.
    """
    require_one_org(engine, org)
    objects = org.administration.objects()
    target = target_of(objects, wish)
    fields = fields_of(wish, target)
    problems = [
        *_hidden(org, fields, labels_of(wish, target)),
        *(["the permission set is not complete"] if lacking(org, fields)[1] else []),
        *_not_shown(org, wish, fields),
        *(f"still to do: {each}" for each in _not_tracked(objects, wish, fields)),
    ]
    if problems:
        raise NotInstalledError(f"the setup is not complete: {'; '.join(problems)}")
    lines = [
        f"The integration user can read and write {', '.join(fields)} of Contact and Lead.",
        *_to_do(engine, wish),
    ]
    for each in lines:
        log.info("%s", each)
    return lines


def _hidden(org: Org, fields: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    seen = {
        field: {obj: org.client.field_access(obj, field) for obj in SalesforceObject}
        for field in fields
    }
    return [each.sentence for each in checks.problems(seen, fields, labels)]


def _not_shown(org: Org, wish: Wish, fields: Sequence[str]) -> list[str]:
    if not wish.layouts:
        return []
    names = chosen_layouts(org.administration.layout_names(), wish)
    return [
        f"{unquote(name)} does not show {field}"
        for name, layout in org.administration.read_layouts(names).items()
        for field in fields
        if not layouts.has_field(layout, field)
    ]


def _not_tracked(objects: Objects, wish: Wish, fields: Sequence[str]) -> list[str]:
    wanted = history_changes(objects, fields) if wish.track_history else []
    return [each.what for each in wanted]


def _to_do(engine: Engine, wish: Wish) -> list[str]:
    """Tell what an admin of the sync does next, if the settings mean another field."""
    with transaction(engine) as conn:
        chosen = settings.current(conn).settings
    if chosen.field_mode is wish.mode:
        return []
    return [
        f"The settings still say {chosen.field_mode}: python -m include.cli settings set "
        f"--field-mode {wish.mode} --by NAME --note WHY"
    ]
