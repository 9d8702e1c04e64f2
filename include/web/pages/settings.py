"""Settings: what the sync may do. Every save is a version; what changes people is shown first."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.audit import settings as saved
from include.audit.settings import FieldMode, Settings, SettingsVersion
from include.domain.errors import OptOutSyncError
from include.reports import versions
from include.reports.preview import Preview, meaning_of, preview
from include.reports.versions import Difference
from include.store.database import transaction
from include.web.forms import text
from include.web.guard import visitor_of
from include.web.rendering import go_to, posted, render, words
from include.web.services import Services, services_of

SWITCH: Final = {
    "on": {"enabled": True, "paused": False},
    "paused": {"enabled": True, "paused": True},
    "off": {"enabled": False, "paused": False},
}
"""What the three positions of the main switch save."""
CHANGES_PEOPLE: Final = frozenset(
    {"field_mode", "sales_opt_out_field", "conflict_rule", "synced_scopes", "bounces_sync"}
)
"""Settings that decide about people: whoever saves another value has seen for whom."""
NAMED: Final = 20
"""People whom a preview names."""
NUMBERS: Final = {
    "max_open_failures": "Failed writes that leave a night green",
    "held_clears_minimum": "Clears a day that never wait for a person",
    "held_clears_fraction": "… nor does this part of all links",
    "alert_writes_minimum": "Tell of more opt-outs in a night than",
    "alert_writes_fraction": "… or than this part of all links",
    "alert_drop_fraction": "Tell when an object loses this part of its opted-out records",
    "alert_hidden_fraction": "Tell when this part of an object's links can no longer be seen",
    "evidence_days": "Days that evidence may wait to be judged",
    "clock_skew_seconds": "Seconds by which the clocks of both sides may differ",
    "bulk_threshold": "Records from which the Bulk API is used",
    "api_reserve": "API requests a day that are left to others",
    "audit_keep_months": "Months that the audit keeps every row, from 24; 0: for ever",
}
"""Thresholds, by name, as the page calls them."""


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody typed, and what there is to say about it.

    Attributes:
        base_version: the version that they looked at.
        values: by setting, as typed.
        note: why.
        errors: by setting, what it must be.
    """

    base_version: int
    values: Mapping[str, Any]
    note: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


def show(request: Request) -> Response:
    """Show the current settings and every earlier version."""
    with transaction(services_of(request).store()) as conn:
        current = saved.current(conn)
    return _page(request, current, _as_form(current))


def change(request: Request, form: FormData) -> Response:
    """Save a version, or first show for whom it would change something."""
    services = services_of(request)
    wanted = _typed(form)
    with transaction(services.store()) as conn:
        current = saved.current(conn)
    checked, wanted = _checked(current.settings, wanted)
    if checked is None:
        return _page(request, current, wanted, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if wanted.base_version != current.version:
        return _page(request, current, wanted, status=HTTPStatus.CONFLICT, is_stale=True)
    if _must_be_seen(current.settings, checked) and form.get("seen") != _digest(checked):
        return _page(
            request, current, wanted, seen=_digest(checked), **_previewed(services, checked)
        )
    return _save(request, wanted, checked)


def _save(request: Request, wanted: Form, checked: Settings) -> Response:
    services = services_of(request)
    with transaction(services.store()) as conn:
        current = saved.locked_current(conn)
        if current.version == wanted.base_version:
            after = saved.save(
                conn,
                checked,
                saved_by=visitor_of(request).name,
                note=wanted.note,
                now=services.clock(),
            )
            is_new = after.version != current.version
            return go_to(request, f"settings?done={'saved' if is_new else 'nothing'}")
    return _page(request, current, wanted, status=HTTPStatus.CONFLICT, is_stale=True)


def _page(
    request: Request,
    current: SettingsVersion,
    form: Form,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    is_stale: bool = False,
    seen: str = "",
    found: Preview | None = None,
    obstacle: str = "",
) -> Response:
    services = services_of(request)
    form = replace(form, values={**_as_form(current).values, **form.values})
    with transaction(services.store()) as conn:
        history = versions.changes(conn)
    return render(
        request,
        "settings.html",
        status,
        current=current,
        form=form,
        numbers=NUMBERS,
        modes={mode.value: meaning_of(mode) for mode in FieldMode},
        notifiers=services.notifiers(),
        history=history,
        is_stale=is_stale,
        differences=_differences(current.settings, form),
        seen=seen,
        found=found,
        obstacle=obstacle,
        done=request.query_params.get("done", ""),
    )


def _previewed(services: Services, after: Settings) -> dict[str, Any]:
    """Work out who would change; where nobody can tell, say why, and let the person decide."""
    try:
        found = preview(
            services.store(), services.staging(), after, client=services.salesforce(), most=NAMED
        )
    except OptOutSyncError as error:
        return {"obstacle": str(error)}
    return {"found": found}


def _as_form(current: SettingsVersion) -> Form:
    values = current.settings.model_dump(mode="json")
    switch = next(
        name
        for name, position in SWITCH.items()
        if position["enabled"] == values["enabled"]
        and (not values["enabled"] or position["paused"] == values["paused"])
    )
    return Form(current.version, values | {"switch": switch})


def _typed(form: FormData) -> Form:
    """Read what the form says, without judging it."""
    names = ("field_mode", "sales_opt_out_field", "conflict_rule", "switch", *NUMBERS)
    values: dict[str, Any] = {name: text(form, name) for name in names if name in form}
    values["synced_scopes"] = ["team", *(["sender"] if "sender" in form else [])]
    values["bounces_sync"] = "bounces_sync" in form
    version = text(form, "base_version")
    return Form(int(version) if version.isdecimal() else 0, values, text(form, "note"))


def _checked(current: Settings, wanted: Form) -> tuple[Settings | None, Form]:
    """Return the settings that a form means, or the form with what is wrong."""
    values = {name: value for name, value in wanted.values.items() if name != "switch"}
    values |= SWITCH.get(str(wanted.values.get("switch")), {})
    errors: dict[str, str] = {}
    found = None
    try:
        found = Settings.model_validate(current.model_dump() | values)
    except ValidationError as error:
        for each in error.errors():
            errors[str(each["loc"][0])] = each["msg"].removeprefix("Value error, ")
    if not wanted.note:
        errors["note"] = "must say why"
    if not errors:
        return found, wanted
    return None, replace(wanted, errors=errors)


def _must_be_seen(before: Settings, after: Settings) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in CHANGES_PEOPLE)


def _digest(chosen: Settings) -> str:
    """Name what was shown: another choice after the preview is another preview."""
    return chosen.model_dump_json(include=set(CHANGES_PEOPLE))


def _differences(current: Settings, form: Form) -> list[Difference]:
    """List what the form would change."""
    checked, _ = _checked(current, Form(form.base_version, form.values, "-"))
    if checked is None:
        return []
    before, after = dict(current), dict(checked)
    return [
        Difference(name, words(before[name]), words(value))
        for name, value in after.items()
        if before[name] != value
    ]


ROUTES: Final = [
    Route("/settings", show, methods=["GET"]),
    Route("/settings", posted(change), methods=["POST"]),
]
