"""Small worlds in which everything that can go wrong does: people, acts, records and links.

A world is what there is: the store's acts, Salesforce's records, and what the sync remembers. It is
made by throwing dice from few ids and few moments, so that things collide. Hypothesis throws dice
that shrink; the bulk run throws seeded ones, and gives each world ids of its own, so that many
disjoint worlds fit into one merge.

Two worlds of one batch share their `Setting`: rule, fields, clock, and which fields can be read.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from hypothesis import strategies as st

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
EMAIL = "HasOptedOutOfEmail"
SALES = "Sales_Opt_Out__c"
OBJECTS = ("Contact", "Lead")
US = "005000000000009AAA"  # the integration user
HUMAN = "005000000000001AAA"
SYNC = "Salesforce Sync"
BY_THE_PERSON = ("Clicked Link", "One-Click", "Complaint")
OPT_IN_BY_THE_PERSON = ("Clicked Link", "One-Click")
OWN_ORIGINS = ("Manual", "Clicked Link", "One-Click", "Complaint", "Import", "Bounce")
SPAN = 100  # ids of people and records that one world may use
ACTS = 1000  # ids of acts that one world may use

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What all worlds of one batch share."""

    fields: tuple[str, ...] = (EMAIL,)
    rule: str = "opt_out_wins"
    scopes: tuple[str, ...] = ("team",)
    bounces: bool = False
    unreadable: frozenset[tuple[str, str]] = frozenset()  # (object, field)
    now: datetime = NOW
    skew: timedelta = timedelta(seconds=300)
    waits: timedelta = timedelta(days=7)


@dataclass
class Person:
    id: int
    salesforce_id: str | None = None


@dataclass
class Act:
    id: int
    person: int
    kind: str  # unsubscribe or resubscribe
    origin: str
    occurred_at: datetime
    recorded_at: datetime
    scope: str = "team"
    is_evidence: bool = False
    caused_by: str | None = None
    was_held: bool = False  # a brake stopped it when a run had judged it good
    ends: tuple[int, ...] = ()  # of a clear that carries no evidence: the acts that its plan knew

    @property
    def at(self) -> datetime:
        return min(self.occurred_at, self.recorded_at)


@dataclass
class Record:
    id: str
    flags: dict[str, bool | None]
    modified_at: datetime | None
    modified_by: str = HUMAN
    history: dict[str, tuple[datetime, bool, str]] = field(default_factory=dict)  # at, to, by
    is_deleted: bool = False
    master: str | None = None
    is_converted: bool = False
    contact: str | None = None
    account: str | None = None
    is_hidden: bool = False

    @property
    def object(self) -> str:
        return object_of(self.id)


@dataclass
class Link:
    person: int
    record: str
    field: str
    base: bool | None = None
    base_since: datetime | None = None
    state: str = "active"
    is_visible: bool = True
    evidence: int | None = None
    flips: int = 0


@dataclass
class World:
    """People by id, records by Id, links by (person, record, field)."""

    setting: Setting = field(default_factory=Setting)
    number: int = 0
    people: dict[int, Person] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    links: dict[tuple[int, str, str], Link] = field(default_factory=dict)
    own_writes: dict[tuple[str, str], int] = field(default_factory=dict)  # -> the act it carried
    refused: set[int] = field(default_factory=set)

    def add(self, *things: Person | Act | Record | Link) -> "World":
        """Add things and return the world, so that it can be written as one expression."""
        for thing in things:
            if isinstance(thing, Person):
                self.people[thing.id] = thing
            elif isinstance(thing, Act):
                self.acts.append(thing)
            elif isinstance(thing, Record):
                self.records[thing.id] = thing
            else:
                self.links[thing.person, thing.record, thing.field] = thing
        return self


# Ids -----------------------------------------------------------------------------------------


def with_checksum(record_id: str) -> str:
    """Complete 15 characters to 18: each suffix tells which of five characters are upper case."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    suffix = ""
    for start in (0, 5, 10):
        chunk = record_id[start : start + 5]
        suffix += alphabet[sum(1 << bit for bit, letter in enumerate(chunk) if letter.isupper())]
    return record_id + suffix


def contact(number: int) -> str:
    return with_checksum(f"0035eABcd{number:06d}")


def lead(number: int) -> str:
    return with_checksum(f"00Q5eABcd{number:06d}")


def object_of(record_id: str) -> str:
    return "Lead" if record_id.startswith("00Q") else "Contact"


def usable_id(typed: str | None) -> str | None:
    """Return the 18 characters of a Contact's or Lead's Id; None if that is not what was typed."""
    text = (typed or "").strip()
    if not text.isascii() or not text.isalnum() or text[:3] not in ("003", "00Q"):
        return None
    if len(text) == 15:
        return with_checksum(text)
    return text if len(text) == 18 and with_checksum(text[:15]) == text else None


# Dice ----------------------------------------------------------------------------------------


class Dice(Protocol):
    def pick(self, choices: Sequence[T]) -> T: ...

    def chance(self, percent: int) -> bool: ...


class SeededDice:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._random.random() * len(choices))]

    def chance(self, percent: int) -> bool:
        return self._random.random() * 100 < percent


class DrawnDice:
    """Dice of hypothesis: they shrink to the first choice, and to "no"."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self._draw(st.integers(0, len(choices) - 1))]

    def chance(self, percent: int) -> bool:
        return self._draw(st.integers(0, 99)) >= 100 - percent


# Settings ------------------------------------------------------------------------------------


MODES = ((EMAIL,), (EMAIL, SALES), (SALES,))
SCOPES = (("team",), ("team", "sender"))
RULES = ("opt_out_wins", "changed_side")
ALL_FIELDS = (EMAIL, SALES)


def make_setting(dice: Dice, rule: str | None = None) -> Setting:
    return Setting(
        fields=dice.pick(MODES),
        rule=rule or dice.pick(RULES),
        scopes=dice.pick(SCOPES),
        bounces=dice.chance(30),
        unreadable=_unreadable(dice),
    )


def _unreadable(dice: Dice) -> frozenset[tuple[str, str]]:
    if not dice.chance(40):
        return frozenset()
    one, other = [(dice.pick(OBJECTS), dice.pick(ALL_FIELDS)) for _ in range(2)]
    return frozenset({one, other}) if dice.chance(40) else frozenset({one})


# Moments -------------------------------------------------------------------------------------


ANCHORS = tuple(
    timedelta(**span)
    for span in (
        {"hours": -1},
        {"hours": -1},
        {"days": -2},
        {"days": -2},
        {"days": -20},
        {"days": -7},
        {"minutes": -6},
        {},
    )
)
OFFSETS = tuple(
    timedelta(seconds=s) for s in (0, 1, -1, 60, -60, 299, -299, 300, -300, 301, -301, 1800, -1800)
)
FUTURE = tuple(timedelta(**span) for span in ({"seconds": 1}, {"minutes": 10}, {"days": 2}))


def moment(dice: Dice, now: datetime, future: int = 0) -> datetime:
    """Return one of few moments, close to others; `future` is the chance of a later one."""
    if future and dice.chance(future):
        return now + dice.pick(FUTURE)
    return min(now, now + dice.pick(ANCHORS) + dice.pick(OFFSETS))


def later(dice: Dice, moment_: datetime, now: datetime) -> datetime:
    """Return when something was recorded that happened at a moment: mostly at once."""
    if moment_ > now and dice.chance(50):
        return now
    delay = timedelta(seconds=dice.pick((0, 0, 0, 1, 600, 2 * 86_400, 8 * 86_400)))
    return min(max(now, moment_), moment_ + delay)


# Worlds --------------------------------------------------------------------------------------


def make_world(dice: Dice, setting: Setting, number: int = 0) -> World:
    """Make one to three people on few records, with any history that the rules allow for."""
    world = World(setting=setting, number=number)
    _add_records(dice, world)
    for index in range(dice.pick((1, 2, 2, 3))):
        _add_person(dice, world, number * SPAN + index + 1)
    for act in _unsubscribes(dice, world):
        world.acts.append(act)
    _add_resubscribes(dice, world)
    _add_derived(dice, world)
    _add_clears(dice, world)
    _add_links(dice, world)
    _add_own_writes(dice, world)
    _hold_some(dice, world)
    return world


def record_ids(number: int) -> list[str]:
    """All Ids that a world may name; most of them exist in it."""
    first = number * SPAN
    return [
        contact(first + 1),
        contact(first + 2),
        contact(first + 3),
        lead(first + 1),
        lead(first + 2),
    ]


def _add_records(dice: Dice, world: World) -> None:
    for record_id in record_ids(world.number)[: dice.pick((1, 2, 3, 5, 5))]:
        if not dice.chance(92):
            continue
        record = Record(
            id=record_id,
            flags={name: dice.pick((False, False, True, True)) for name in ALL_FIELDS},
            modified_at=moment(dice, world.setting.now, future=3),
            modified_by=dice.pick((HUMAN, HUMAN, US)),
            is_hidden=dice.chance(7),
        )
        _spoil(dice, record)
        _add_history(dice, record)
        _end_record(dice, world, record)
        world.records[record_id] = record


def _spoil(dice: Dice, record: Record) -> None:
    if dice.chance(3):
        record.modified_at = None
    if dice.chance(4):
        record.flags[dice.pick(ALL_FIELDS)] = None
    if record.object == "Contact" and dice.chance(8):
        record.account = with_checksum("0015eABcd" + record.id[9:15])


def _add_history(dice: Dice, record: Record) -> None:
    """A change of the field is never later than the last change of its record."""
    for name, flag in record.flags.items():
        if record.modified_at is None or flag is None or not dice.chance(35):
            continue
        before = dice.pick(tuple(timedelta(seconds=s) for s in (0, 1, 299, 301, 3600, 4 * 86_400)))
        at, to = record.modified_at - before, flag if dice.chance(85) else not flag
        record.history[name] = (at, to, dice.pick((HUMAN, record.modified_by)))


def _end_record(dice: Dice, world: World, record: Record) -> None:
    """Delete, merge or convert some records, also into themselves and into what does not exist."""
    end = dice.pick(("lives",) * 11 + ("deleted", "merged", "merged", "converted", "converted"))
    ids = [i for i in record_ids(world.number) if i.startswith(record.id[:3])]
    if end in ("deleted", "merged"):
        record.is_deleted = True
        record.master = dice.pick(ids) if end == "merged" else None
    elif end == "converted" and record.object == "Lead":
        record.is_converted = True
        record.contact = contact(world.number * SPAN + dice.pick((1, 2, 3)))
        record.is_deleted = dice.chance(10)


def _add_person(dice: Dice, world: World, person_id: int) -> None:
    known = list(world.records) or record_ids(world.number)[:1]
    typed: str | None = dice.pick(known if dice.chance(90) else record_ids(world.number))
    if typed is not None and dice.chance(30):
        typed = typed[:15]
    if dice.chance(10):
        account = with_checksum("0015eABcd000001")
        typed = dice.pick((None, None, "", "not an Id", contact(1)[:17] + "x", account))
    world.people[person_id] = Person(person_id, typed)


def next_act(world: World) -> int:
    newest = max((act.id for act in world.acts), default=world.number * ACTS)
    return newest + 1


def _unsubscribes(dice: Dice, world: World) -> list[Act]:
    acts = []
    for person_id in world.people:
        for _ in range(dice.pick((0, 1, 1, 2))):
            at = moment(dice, world.setting.now, future=3)
            act = Act(
                id=world.number * ACTS + len(acts) + 1,
                person=person_id,
                kind="unsubscribe",
                origin=dice.pick(OWN_ORIGINS),
                occurred_at=at,
                recorded_at=later(dice, at, world.setting.now),
                scope="sender" if dice.chance(20) else "team",
            )
            acts.append(act)
    return acts


def _add_resubscribes(dice: Dice, world: World) -> None:
    for person_id in world.people:
        for _ in range(dice.pick((0, 1, 1, 2))):
            at = moment(dice, world.setting.now, future=5)
            act = Act(
                id=next_act(world),
                person=person_id,
                kind="resubscribe",
                origin=dice.pick(("Manual", "Clicked Link", "Import", "One-Click")),
                occurred_at=at,
                recorded_at=later(dice, at, world.setting.now),
                is_evidence=not dice.chance(25),
            )
            world.acts.append(act)


def _add_derived(dice: Dice, world: World) -> None:
    """Add opt-outs that the sync recorded, some caused by acts and records that are gone."""
    for person_id in world.people:
        if not dice.chance(35):
            continue
        seen_at = moment(dice, world.setting.now)
        recorded_at = seen_at + timedelta(seconds=dice.pick((0, 60, 600)))
        act = Act(
            id=next_act(world),
            person=person_id,
            kind="unsubscribe",
            origin=SYNC,
            occurred_at=seen_at,
            recorded_at=min(world.setting.now, recorded_at),
            caused_by=_cause(dice, world, seen_at),
        )
        world.acts.append(act)


def _cause(dice: Dice, world: World, seen_at: datetime) -> str:
    own = [a for a in world.acts if a.kind == "unsubscribe" and a.origin != SYNC]
    if own and dice.chance(40):
        return f"act:{dice.pick(own).id}"
    if dice.chance(8):
        return f"act:{world.number * ACTS + 999}"
    cause = f"salesforce:{dice.pick(record_ids(world.number))}:{dice.pick(ALL_FIELDS)}"
    if dice.chance(15):
        return cause
    return f"{cause}@{min(seen_at, moment(dice, seen_at)):%Y-%m-%dT%H:%M:%SZ}"


def _add_clears(dice: Dice, world: World) -> None:
    """Accept some resubscribes before now: a clear names them, and may end others' opt-outs."""
    for act in list(world.acts):
        if not _may_be_accepted(dice, world, act):
            continue
        for person_id in world.people:
            if person_id == act.person or dice.chance(50):
                world.acts.append(_clear(dice, world, act, person_id))


def _may_be_accepted(dice: Dice, world: World, act: Act) -> bool:
    if act.kind != "resubscribe" or act.recorded_at >= world.setting.now or not dice.chance(35):
        return False
    return act.is_evidence or world.setting.rule == "changed_side" or dice.chance(10)


def _clear(dice: Dice, world: World, cause: Act, person_id: int) -> Act:
    before_now = world.setting.now - timedelta(seconds=1)
    recorded_at = min(before_now, moment(dice, world.setting.now))
    clear = Act(
        id=next_act(world),
        person=person_id,
        kind="resubscribe",
        origin=SYNC,
        occurred_at=cause.at,
        recorded_at=max(cause.recorded_at, recorded_at),
        caused_by=f"act:{cause.id}",
    )
    if person_id == cause.person and not cause.is_evidence:
        clear.ends = tuple(a.id for a in world.acts if _was_known(world.setting, a, cause, clear))
    return clear


def _was_known(setting: Setting, act: Act, claim: Act, clear: Act) -> bool:
    """Whether a run that let a claim count knew an opt-out, and the claim is newer."""
    return (
        (act.kind, act.person) == ("unsubscribe", claim.person)
        and act.origin not in (SYNC, *BY_THE_PERSON)
        and act.scope in setting.scopes
        and act.recorded_at < clear.recorded_at
        and (act.at, act.id) < (claim.at, claim.id)
    )


def _hold_some(dice: Dice, world: World) -> None:
    """Let a brake have stopped some evidence before now."""
    accepted = {act.caused_by for act in world.acts if act.kind == "resubscribe"}
    for act in world.acts:
        is_open = act.is_evidence and f"act:{act.id}" not in accepted
        act.was_held = is_open and act.recorded_at < world.setting.now and dice.chance(20)


def _add_links(dice: Dice, world: World) -> None:
    for person in world.people.values():
        for record_id in record_ids(world.number):
            is_current = usable_id(person.salesforce_id) == record_id
            if dice.chance(75 if is_current else 8):
                _add_links_of(dice, world, person.id, record_id)
    if dice.chance(4):
        gone = world.number * SPAN + SPAN - 1  # somebody who was erased
        _add_link(dice, world, gone, dice.pick(record_ids(world.number)), world.setting.fields[0])


def _add_links_of(dice: Dice, world: World, person_id: int, record_id: str) -> None:
    for name in ALL_FIELDS:  # a field that we set once stays a link outside the mode
        if name in world.setting.fields or dice.chance(10):
            _add_link(dice, world, person_id, record_id, name)


def _add_link(dice: Dice, world: World, person_id: int, record_id: str, name: str) -> None:
    if dice.chance(6):
        return
    link = Link(
        person=person_id,
        record=record_id,
        field=name,
        base=dice.pick((False, True, True, False, None)),
        state=dice.pick(("active",) * 12 + ("gone", "retired")),
        is_visible=not dice.chance(12),
        flips=dice.pick((0,) * 12 + (1, 2, 3, 4)),
    )
    accepted = accepted_evidence(world, person_id)
    if accepted and link.base is not False and dice.chance(50):
        link.evidence, link.base = dice.pick(accepted).id, True  # as `cover_links` does
    if link.base is not None:
        link.base_since = moment(dice, world.setting.now)
    world.links[person_id, record_id, name] = link


def accepted_evidence(world: World, person_id: int) -> list[Act]:
    """List the evidence of a person that a clear names."""
    named = {act.caused_by for act in world.acts if act.kind == "resubscribe"}
    return [
        act
        for act in world.acts
        if act.person == person_id and act.is_evidence and f"act:{act.id}" in named
    ]


def _add_own_writes(dice: Dice, world: World) -> None:
    """Let some boxes be ours: we wrote them, carrying an act that was known by then."""
    for record in world.records.values():
        for name, flag in record.flags.items():
            if record.modified_by != US or not flag or record.modified_at is None:
                continue
            latest = record.modified_at + world.setting.skew
            acts = [a for a in world.acts if a.kind == "unsubscribe" and a.recorded_at <= latest]
            acts = [a for a in acts if a.origin != SYNC]
            if acts and dice.chance(70):
                world.own_writes[record.id, name] = dice.pick(acts).id


@st.composite
def worlds(draw: st.DrawFn, rule: str | None = None) -> World:
    """One small world, and any setting."""
    dice = DrawnDice(draw)
    return make_world(dice, make_setting(dice, rule))


def batch(seed: int, size: int, rule: str | None = None) -> list[World]:
    """Make `size` disjoint worlds under one setting; the same ones for the same seed."""
    setting = make_setting(SeededDice(seed), rule)
    return [make_world(SeededDice(seed * 1_000_003 + n), setting, n) for n in range(1, size + 1)]


# Literals ------------------------------------------------------------------------------------


def literal(thing: object) -> str:
    """Write a world as Python that makes it again, without what is at its default."""
    if isinstance(thing, World):
        return _world_literal(thing)
    if is_dataclass(thing):
        return f"{type(thing).__name__}({_arguments(thing)})"
    if isinstance(thing, datetime):
        return _moment_literal(thing)
    if isinstance(thing, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in thing.items()) + "}"
    if isinstance(thing, tuple):
        return "(" + "".join(f"{literal(v)}, " for v in thing) + ")"
    return repr(thing)


def _world_literal(world: World) -> str:
    groups = (world.people, world.records, world.links)
    things = [thing for group in groups for thing in group.values()] + list(world.acts)
    lines = "".join(f"    {literal(thing)},\n" for thing in things)
    rest = f", own_writes={literal(world.own_writes)}" if world.own_writes else ""
    return f"World({literal(world.setting)}{rest}).add(\n{lines})"


def _arguments(thing: object) -> str:
    shown = []
    for one in fields(thing):  # type: ignore[arg-type]
        value = getattr(thing, one.name)
        default = one.default_factory() if callable(one.default_factory) else one.default
        if value != default:
            shown.append(f"{one.name}={literal(value)}")
    return ", ".join(shown)


def _moment_literal(value: datetime) -> str:
    seconds = (value - NOW).total_seconds()
    return f"NOW + timedelta(seconds={seconds:g})" if seconds % 1 else f"ago({-int(seconds)})"


def ago(seconds: float) -> datetime:
    """The moment so many seconds before `NOW`."""
    return NOW - timedelta(seconds=seconds)
