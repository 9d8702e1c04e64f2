"""Nights and what happens between them: a plan is applied to a world step by step.

The store gets acts and clears, Salesforce gets boxes (every write moves the record's last change),
and the sync remembers links. A base moves only where both sides were read back equal. A night can
stop after any write, single writes can fail, clears can be held, and a night may only plan.

Order, as in section 8 of the rules: opt-outs first, store before Salesforce; relinks; then each
group's clears, in the store in one transaction, and one write per record, refused if somebody
changed it since it was read; the close comes last.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.property import engine, oracle
from tests.property.engine import Plan
from tests.property.store import (
    Row,
    act_of,
    is_ended,
    is_in_scope,
    is_older,
    is_opted_out,
    named_act,
    see,
    standing,
)
from tests.property.worlds import SYNC, US, Act, Link, Record, World, next_act, usable_id

Write = Callable[[], None]
Key = tuple[object, ...]


@dataclass
class Circumstances:
    """What goes wrong in a night.

    `failing` holds ("store", person) and ("salesforce", record) of writes that are refused;
    `stop_after` is the number of writes after which the night is killed, before it closes.
    """

    failing: frozenset[Key] = frozenset()
    stop_after: int | None = None
    is_plan_only: bool = False
    is_held: bool = False
    meanwhile: Callable[[World], None] | None = None  # between the merge and the load


@dataclass
class Clock:
    """How far the clock of Salesforce is ahead of the store's."""

    ahead: timedelta = timedelta(0)


@dataclass
class Loading:
    """One night of one world, while it is applied."""

    world: World
    plan: Plan
    read_at: datetime
    now: datetime
    circumstances: Circumstances
    clock: Clock
    seen_changes: dict[str, datetime | None] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)  # acts that the plan was made from

    def fails(self, *key: object) -> bool:
        return key in self.circumstances.failing


def night(
    worlds: list[World],
    now: datetime,
    circumstances: Circumstances | None = None,
    clock: Clock | None = None,
    only: list[set[int]] | None = None,
) -> list[Plan]:
    """Merge all worlds at once, apply each one's plan, and return the plans.

    `only` names the people of a push or a rerun; the worlds must share their setting.
    """
    for world in worlds:
        world.setting = replace(world.setting, now=now)
    seen = [see(world, only[n] if only else None) for n, world in enumerate(worlds)]
    plans = engine.decide(seen)
    for world, plan in zip(worlds, plans, strict=True):
        load(world, plan, now, circumstances or Circumstances(), clock or Clock())
    return plans


def load(
    world: World, plan: Plan, read_at: datetime, circumstances: Circumstances, clock: Clock
) -> None:
    """Apply a plan, one second after it was made."""
    if circumstances.is_plan_only:
        return
    loading = Loading(world, plan, read_at, read_at + timedelta(seconds=1), circumstances, clock)
    loading.seen_changes = {r.id: r.modified_at for r in world.records.values()}
    loading.known = {act.id for act in world.acts}
    if circumstances.meanwhile:
        circumstances.meanwhile(world)
    for number, write in enumerate(list(_writes(loading))):
        if number == circumstances.stop_after:
            return
        write()
    close(loading)


def count_writes(world: World, plan: Plan) -> int:
    """How many writes a plan takes, so in how many places it can be stopped."""
    loading = Loading(world, plan, world.setting.now, world.setting.now, Circumstances(), Clock())
    return len(list(_writes(loading)))


def _writes(loading: Loading) -> Iterator[Write]:
    plan = loading.plan
    people = [person for person, written in sorted(plan.store.items()) if True in written]
    boxes = [box for box, written in sorted(plan.salesforce.items()) if True in written]
    for person in people:
        yield lambda p=person: _opt_out_in_store(loading, p)
    for record, name in boxes:
        yield lambda r=record, n=name: _opt_out_in_salesforce(loading, r, n)
    for row in plan.relinks:
        yield lambda r=row: _relink(loading, r)
    if not loading.circumstances.is_held:
        yield from _clears(loading)


def _clears(loading: Loading) -> Iterator[Write]:
    for unit in _units(loading):
        yield lambda u=unit: _clear_in_store(loading, u)
        for record in unit.boxes:
            yield lambda u=unit, r=record: _clear_in_salesforce(loading, u, r)


# Opt-outs ------------------------------------------------------------------------------------


def _opt_out_in_store(loading: Loading, person: int) -> None:
    """Record that a person opted out elsewhere; whoever is opted out already gets no new act."""
    world = loading.world
    if loading.fails("store", person) or person not in world.people or is_opted_out(world, person):
        return
    rows = [r for r in loading.plan.decisions if r["person_id"] == person and r["target_store"]]
    world.acts.append(
        Act(
            id=next_act(world),
            person=person,
            kind="unsubscribe",
            origin=SYNC,
            occurred_at=loading.read_at,
            recorded_at=loading.now,
            caused_by=rows[0]["cause"],
        )
    )


def _opt_out_in_salesforce(loading: Loading, record_id: str, name: str) -> None:
    """Tick one box; the write carries the act that its decision names."""
    record = loading.world.records[record_id]
    if loading.fails("salesforce", record_id) or record.flags[name]:
        return
    tick(record, name, True, loading.now + loading.clock.ahead, US)
    rows = [
        row
        for row in loading.plan.decisions
        if (row["record_id"], row["field"]) == (record_id, name) and row["target_salesforce"]
    ]
    carried = named_act(loading.world, rows[0]["cause"])
    if carried is None:
        loading.world.own_writes.pop((record_id, name), None)
    else:
        loading.world.own_writes[record_id, name] = carried.id


def tick(record: Record, name: str, value: bool, at: datetime, by: str) -> None:
    """Change a box: its record's last change moves, and its history if that is kept."""
    record.flags[name] = value
    record.modified_at, record.modified_by = at, by
    if name in record.history:
        record.history[name] = (at, value, by)


def _relink(loading: Loading, row: Row) -> None:
    person = loading.world.people.get(row["person_id"])
    if person and (person.salesforce_id or "").strip()[:15] == row["from_record_id"][:15]:
        person.salesforce_id = row["to_record_id"]


# Clears --------------------------------------------------------------------------------------


@dataclass
class Unit:
    """What one group's clear consists of: causes by person, and fields by record."""

    causes: dict[int, str]
    boxes: dict[str, list[str]]
    rows: list[Row]
    is_superseded: bool = False


def _units(loading: Loading) -> Iterator[Unit]:
    """Put together what is cleared together: the people of a group and its record."""
    groups: dict[object, set[int]] = {}
    for group in oracle.groups(see(loading.world)):
        key = group.record_id or group.people[0]
        groups[key] = set(group.people)
    for key, people in groups.items():
        unit = _unit(loading.plan, people, key)
        if unit.causes or unit.boxes:
            yield unit


def _unit(plan: Plan, people: set[int], key: object) -> Unit:
    rows = [row for row in plan.decisions if row["person_id"] in people]
    causes = {r["person_id"]: r["cause"] for r in rows if r["target_store"] is False}
    for row in plan.judgements:
        if row["verdict"] == "accepted" and row["person_id"] in people:
            causes[row["person_id"]] = f"act:{row['act_id']}"
    boxes: dict[str, list[str]] = {}
    for row in rows:
        if row["target_salesforce"] is False and row["record_id"] == key:
            boxes.setdefault(row["record_id"], []).append(row["field"])
    return Unit(causes, boxes, rows)


def _clear_in_store(loading: Loading, unit: Unit) -> None:
    """Record the clears of a group, all or none, and that its boxes were judged."""
    world = loading.world
    clears = [_clear(loading, p, cause) for p, cause in sorted(unit.causes.items())]
    unit.is_superseded = any(_is_superseded(loading, clear) for clear in clears)
    if unit.is_superseded:
        return
    for clear in clears:
        clear.id = next_act(world)
        world.acts.append(clear)
    for row in unit.rows:
        if row["evidence_id"] is not None and row["target_salesforce"] is False:
            _cover(link_to(world, row), row["evidence_id"], loading.now)


def _cover(link: Link, evidence: int, now: datetime) -> None:
    """Note that evidence answered a box; both sides said "opted out" until then."""
    if not link.base:
        link.base, link.base_since = True, now
    link.evidence = evidence


def _clear(loading: Loading, person: int, cause: str) -> Act:
    named = named_act(loading.world, cause)
    return Act(
        id=next_act(loading.world),
        person=person,
        kind="resubscribe",
        origin=SYNC,
        occurred_at=named.at if named else loading.read_at,
        recorded_at=loading.now,
        caused_by=cause,
        ends=() if named and named.is_evidence else _changed(loading, person, named),
    )


def _changed(loading: Loading, person: int, claim: Act | None) -> tuple[int, ...]:
    """Which opt-outs a cleared box or a claim ends: those that the plan knew."""
    return tuple(
        act.id
        for act in standing(loading.world, person)
        if act.id in loading.known
        and act.origin != SYNC
        and is_in_scope(act, loading.world.setting)
        and (claim is None or (claim.person == person and is_older(act, claim)))
    )


def _is_superseded(loading: Loading, clear: Act) -> bool:
    """Whether the person opted out again since the plan was made, or the sync saw so."""
    if clear.person not in loading.world.people:
        return True
    for act in standing(loading.world, clear.person):
        is_new = act.origin == SYNC and act.id not in loading.known
        is_left = not is_ended(loading.world, act, clear)
        if is_in_scope(act, loading.world.setting) and (is_new or is_left):
            return True
    return False


def _clear_in_salesforce(loading: Loading, unit: Unit, record_id: str) -> None:
    """Clear the boxes of one record in one write, if nobody touched it since it was read."""
    record = loading.world.records[record_id]
    is_touched = record.modified_at != loading.seen_changes.get(record_id)
    if unit.is_superseded or is_touched or loading.fails("salesforce", record_id):
        return
    for name in sorted(set(unit.boxes[record_id])):
        if record.flags[name]:
            tick(record, name, False, loading.now + loading.clock.ahead, US)
        loading.world.own_writes.pop((record_id, name), None)


# The close -----------------------------------------------------------------------------------


def link_to(world: World, row: Row) -> Link:
    key = row["person_id"], row["record_id"], row["field"]
    return world.links.setdefault(key, Link(*key))


def close(loading: Loading) -> None:
    """Move what was read back, and remember what is no longer there."""
    world, plan = loading.world, loading.plan
    for row in plan.visibility:
        _close_visibility(link_to(world, row), row)
    for row in plan.decisions:
        _close_link(loading, row)
    for row in plan.retired:
        link_to(world, row).state = "retired"
    _close_judgements(loading)


def _close_judgements(loading: Loading) -> None:
    world, rows = loading.world, loading.plan.judgements
    world.refused |= {row["act_id"] for row in rows if row["verdict"] == "refused"}
    accepted = {row["act_id"] for row in rows if row["verdict"] == "accepted"}
    for act in world.acts:
        act.was_held |= loading.circumstances.is_held and act.id in accepted


def _close_visibility(link: Link, row: Row) -> None:
    link.is_visible = row["is_visible"]
    if row["is_deleted"]:
        link.state = "gone"
    elif link.is_visible:
        link.state = "active"


def _close_link(loading: Loading, row: Row) -> None:
    world = loading.world
    if row["record_id"] is None or row["person_id"] not in world.people:
        return
    if row["new_base"] is not None and _reads_back(world, row):
        link = link_to(world, row)
        if link.base is not row["new_base"]:
            link.base_since, link.evidence = loading.read_at, None
        link.base, link.state, link.is_visible = row["new_base"], "active", True
        if not link.base:
            link.flips = 0
    if row["target_salesforce"] and _reads_back(world, row | {"new_base": True}):
        link_to(world, row).evidence = None  # an opt-out that no evidence has answered
    _count_flip(world, row)


def _reads_back(world: World, row: Row) -> bool:
    record = world.records.get(row["record_id"])
    in_salesforce = record.flags[row["field"]] if record else None
    in_store = is_opted_out(world, row["person_id"])
    return in_salesforce is row["new_base"] and in_store is row["new_base"]


def _count_flip(world: World, row: Row) -> None:
    link = world.links.get((row["person_id"], row["record_id"], row["field"]))
    if link is None or link.flips >= 3:
        return
    is_undone = row["code"] == "CLEARED_IN_SALESFORCE_ONLY" and row["target_salesforce"] is not None
    link.flips = link.flips + 1 if is_undone else 0


# What nights leave behind --------------------------------------------------------------------


def end_state(world: World) -> dict[object, object]:
    """Everything that must be the same however the nights went: both sides, Ids and links.

    Which of several consents that are enough is accepted may differ: what one has ended is no
    longer in the way of an older one, if a night stops between its clear and its close.
    """
    state: dict[object, object] = {("store", p): is_opted_out(world, p) for p in world.people} | {
        ("id", p.id): usable_id(p.salesforce_id) for p in world.people.values()
    }
    state |= {("box", r.id): dict(r.flags) for r in world.records.values()}
    known = {key: link for key, link in world.links.items() if _may_count(world, link)}
    return state | {key: (link.base, link.state) for key, link in known.items()}


def _may_count(world: World, link: Link) -> bool:
    """Whether a link may ever count again: not that to a deleted record nobody names now."""
    person = world.people.get(link.person)
    is_named = person is not None and usable_id(person.salesforce_id) == link.record
    return link.state == "active" or (link.state == "gone" and is_named)


def is_quiet(plan: Plan) -> bool:
    """Whether a plan changes nothing: no write, no base, no relink, nothing accepted."""
    return not (
        plan.writes()
        or plan.bases
        or plan.relinks
        or plan.retired
        or plan.visibility
        or plan.accepted
    )


def people_with(world: World, people: Iterable[int]) -> set[int]:
    """Return people and all whose Ids lead past a common record: what a push or a rerun reads."""
    paths = _paths(world)
    wanted, more = set(people), set(people)
    while more:
        reached = {record for person in wanted for record in paths.get(person, ())}
        more = {p for p, path in paths.items() if path & reached} - wanted
        wanted |= more
    return wanted


def _paths(world: World) -> dict[int, set[str]]:
    groups = oracle.groups(see(world))
    homes = {p: home for group in groups for p, home in group.homes.items()}
    return {p: {r for r in (home.record, *home.passed) if r} for p, home in homes.items()}


def copies(worlds: list[World]) -> list[World]:
    return [deepcopy(world) for world in worlds]


__all__ = ["Circumstances", "Clock", "act_of", "close", "copies", "end_state", "is_quiet", "night"]
