"""The lines of the checklist that Salesforce answers, each with the menu path that mends it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sqlalchemy import Engine, text

from include.audit import orgs, run_sql, settings
from include.audit.settings import Settings
from include.domain.errors import OptOutSyncError
from include.domain.values import SalesforceObject
from include.reports.items import Item, State, sentence
from include.salesforce import layouts, menu
from include.salesforce.administration import FoundObject, SalesforceAdministration
from include.salesforce.client import SalesforceClient
from include.salesforce.organization import Changes, Organization
from include.store.database import transaction
from include.sync import checks

if TYPE_CHECKING:
    from include.salesforce.describe import FieldAccess

CONNECTION, FIELD = "Connection", "Field"
LATELY: Final = timedelta(days=30)
Places = Sequence[tuple[str, SalesforceObject]]


def salesforce_items(
    engine: Engine,
    client: SalesforceClient,
    administration: SalesforceAdministration | None,
    *,
    now: datetime,
) -> list[Item]:
    """Check the connection, the org, and each opt-out field on each object.

    What cannot be asked is UNKNOWN, with the reason.
    """
    with transaction(engine) as conn:
        chosen = settings.current(conn).settings
    title = "Salesforce can be reached"
    try:
        org = client.organization()
    except OptOutSyncError as error:
        fix = "Check the Connection salesforce: consumer key, consumer secret and domain."
        return [Item("SALESFORCE_LOGIN", CONNECTION, title, State.FAIL, sentence(error), fix)]
    kind = "sandbox" if org.is_sandbox else org.edition
    detail = f"{org.name} ({kind}, {org.instance}) answers."
    return [
        Item("SALESFORCE_LOGIN", CONNECTION, title, State.OK, detail),
        _org(engine, org),
        *_asked("API_VERSION", CONNECTION, lambda: _version(client)),
        *_asked("API_BUDGET", CONNECTION, lambda: _budget(client, chosen)),
        *_fields(client, administration, chosen, now),
    ]


def _org(engine: Engine, org: Organization) -> Item:
    title = "The org is the one that this database belongs to"
    with transaction(engine) as conn:
        other = conn.execute(text(run_sql.OTHER_ORG), {"org_id": org.id}).scalar()
        is_confirmed = orgs.is_confirmed(conn, org.id)
    if other is not None:
        detail = f"The Connection leads to {org.id}, the database belongs to {other}."
        fix = "Correct the domain of the Connection salesforce, or use a database of its own."
        return Item("SALESFORCE_ORG", CONNECTION, title, State.FAIL, detail, fix)
    if is_confirmed:
        return Item("SALESFORCE_ORG", CONNECTION, title, State.OK, f"Org {org.id}, confirmed.")
    detail = f"Org {org.id} is not confirmed: nights only plan what they would write there."
    fix = (
        "Look at the plan of a night, then run: "
        f"python -m include.cli org confirm {org.id} --by NAME --note WHY"
    )
    return Item("SALESFORCE_ORG", CONNECTION, title, State.WARN, detail, fix)


def _version(client: SalesforceClient) -> Iterator[Item]:
    title, offered = "Salesforce offers the API version that is used", client.api_versions()
    if client.api_version in offered:
        detail = f"Version {client.api_version} is used, {offered[-1]} is the newest."
        yield Item("API_VERSION", CONNECTION, title, State.OK, detail)
    else:
        detail = f"Version {client.api_version} is not among {offered[0]} to {offered[-1]}."
        fix = "Install a release of this project that uses a version which the org offers."
        yield Item("API_VERSION", CONNECTION, title, State.FAIL, detail, fix)


def _budget(client: SalesforceClient, chosen: Settings) -> Iterator[Item]:
    title, budget = "There are API requests left", client.api_budget()
    detail = (
        f"{budget.remaining:,} of {budget.allowed:,} are left, {chosen.api_reserve:,} are kept for "
        "others."
    )
    fix = (
        "Wait until they refill within 24 hours, lower api_reserve, or find who uses them: "
        "Setup > Company Information > API Requests, Last 24 Hours."
    )
    if budget.remaining < chosen.api_reserve:
        yield Item("API_BUDGET", CONNECTION, title, State.FAIL, detail, fix)
    elif budget.remaining < budget.allowed // 10:
        yield Item("API_BUDGET", CONNECTION, title, State.WARN, detail, fix)
    else:
        yield Item("API_BUDGET", CONNECTION, title, State.OK, detail)


def _fields(
    client: SalesforceClient,
    administration: SalesforceAdministration | None,
    chosen: Settings,
    now: datetime,
) -> Iterator[Item]:
    places = [(field, obj) for field in chosen.opt_out_fields for obj in SalesforceObject]
    yield from _asked("FIELD_ACCESS", FIELD, lambda: _access(client, chosen, places))
    yield from _asked("FIELD_CHANGES", FIELD, lambda: _changes(client, places, now))
    if administration is None:
        yield Item(
            "FIELD_DEFINITION",
            FIELD,
            "The field is on the page layouts, and its history is tracked",
            State.UNKNOWN,
            "Nobody was asked who may see the setup of the org.",
            "Name a Connection of an administrator, as for the DAG salesforce_opt_out_setup; or "
            f"look at {menu.history(SalesforceObject.CONTACT)}.",
        )
        return
    yield from _asked("FIELD_HISTORY", FIELD, lambda: _history(administration, places))
    yield from _asked("FIELD_LAYOUTS", FIELD, lambda: _layouts(administration, places))


def _access(client: SalesforceClient, chosen: Settings, places: Places) -> Iterator[Item]:
    found: dict[str, dict[SalesforceObject, FieldAccess]] = {}
    for field, obj in places:
        found.setdefault(field, {})[obj] = client.field_access(obj, field)
    for each in checks.field_checks(found, chosen.opt_out_fields, chosen.labels):
        what, title = _NEEDS[each.need]
        yield Item(
            f"{what}.{each.obj}.{each.field}",
            FIELD,
            title.format(field=each.field, obj=each.obj),
            State.OK if each.passed else State.FAIL,
            each.finding.removesuffix(":").rstrip(".") + ".",
            each.fix[:1].upper() + each.fix[1:],
        )


def _changes(client: SalesforceClient, places: Places, now: datetime) -> Iterator[Item]:
    own = client.user_id()
    for field, obj in places:
        found = client.field_changes(obj, field, now - LATELY)
        state, detail, fix = _judged(found, own, obj)
        title = f"Who else changed {field} of {obj} is known"
        yield Item(f"FIELD_CHANGES.{obj}.{field}", FIELD, title, state, detail, fix)


def _judged(found: list[Changes] | None, own: str, obj: SalesforceObject) -> tuple[State, str, str]:
    """Judge what the history tells: no row at all proves nothing."""
    if not found:
        what = "cannot be read" if found is None else "has no row of the last 30 days"
        detail = f"Its history {what}, so this says nothing of who changed it."
        return State.UNKNOWN, detail, f"Track the field: {menu.history(obj)}."
    others = [each for each in found if each.user_id != own]
    if not others:
        return State.OK, "In the last 30 days only the integration user changed it.", ""
    told = ", ".join(f"{each.name or each.user_id} ({each.count:,})" for each in others[:_NAMED])
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    detail = f"In the last 30 days it was changed by {told}{more}."
    return State.WARN, detail, "See that each is a person, or automation that knows of opt-outs."


def _history(administration: SalesforceAdministration, places: Places) -> Iterator[Item]:
    objects = administration.objects()
    for field, obj in places:
        title = f"The history of {field} of {obj} is tracked"
        code = f"FIELD_HISTORY.{obj}.{field}"
        if _is_tracked(objects[obj], field):
            yield Item(code, FIELD, title, State.OK, "It is.")
        else:
            detail = "It is not, so only the record's last change tells when somebody opted out."
            fix = f"Go to {menu.history(obj)} and choose the field."
            yield Item(code, FIELD, title, State.WARN, detail, fix)


def _is_tracked(found: FoundObject, field: str) -> bool:
    known = found.fields.get(field.lower())
    return found.keeps_history and known is not None and known.is_tracked


def _layouts(administration: SalesforceAdministration, places: Places) -> Iterator[Item]:
    names = [each for each in administration.layout_names() if _object_of(each) is not None]
    read = administration.read_layouts(names[:_LAYOUTS])
    for field, obj in places:
        own = {name: each for name, each in read.items() if _object_of(name) == obj}
        without = [name for name, each in own.items() if not layouts.has_field(each, field)]
        code, title = f"FIELD_LAYOUTS.{obj}.{field}", f"People see {field} on pages of {obj}"
        if not without:
            yield Item(code, FIELD, title, State.OK, f"It is on all {len(own)} page layouts.")
            continue
        told = ", ".join(unquote(each) for each in without[:_NAMED])
        detail = f"It is not on {len(without)} of {len(own)} page layouts: {told}."
        first = unquote(without[0]).removeprefix(f"{obj}-")
        yield Item(code, FIELD, title, State.WARN, detail, f"Go to {menu.layout(obj, first)}.")


def _object_of(layout: str) -> str | None:
    name = layout.partition("-")[0]
    return name if name in {each.value for each in SalesforceObject} else None


def _asked(code: str, group: str, ask: Callable[[], Iterator[Item]]) -> list[Item]:
    """Collect what a question yields; one that is refused, or not answered, is a line as well."""
    found: list[Item] = []
    try:
        found.extend(ask())
    except OptOutSyncError as error:
        title = _TITLES[code]
        found.append(Item(code, group, title, State.UNKNOWN, sentence(error)))
    return found


_NAMED: Final = 5
_LAYOUTS: Final = 50
_TITLES: Final = {
    "API_VERSION": "Salesforce offers the API version that is used",
    "API_BUDGET": "There are API requests left",
    "FIELD_ACCESS": "The integration user can read and write the field",
    "FIELD_CHANGES": "Who else changed the field is known",
    "FIELD_HISTORY": "The history of the field is tracked",
    "FIELD_LAYOUTS": "People see the field on their pages",
}
_NEEDS: Final = {
    "read": ("FIELD_VISIBLE", "The integration user can read {field} of {obj}"),
    "write": ("FIELD_WRITABLE", "The integration user can write {field} of {obj}"),
}
