"""The properties of section 10 of the conflict rules, each a function of many disjoint worlds.

A property takes worlds of one batch, merges them at once, and returns what breaks it: the world and
a sentence. So the same property checks one drawn world, which shrinks, and thousands of seeded
ones. Worlds are never changed: nights are played on copies.
"""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import pandas as pd

from include.domain.conflicts import Code
from include.domain.frames import Extract
from tests.property import compare, engine, night, oracle
from tests.property.engine import FRAMES, Plan
from tests.property.night import Circumstances
from tests.property.oracle import Expectation, Group
from tests.property.store import Row, Seen, is_opted_out, see
from tests.property.worlds import HUMAN, SYNC, Act, World, next_act

Broken = tuple[World, str]
Property = Callable[[list[World]], Iterator[Broken]]
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
TUG = compare.TUG_OF_WAR_AFTER


# What the checks share -----------------------------------------------------------------------


def merged(worlds: list[World]) -> list[tuple[World, Seen, Plan]]:
    """Merge worlds and return each with what was seen of it and its plan; the last is kept."""
    return _merged(_Same(worlds))


class _Same:
    """Worlds that are the same objects: what was computed of them stays true."""

    def __init__(self, worlds: list[World]) -> None:
        self.worlds = worlds

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.worlds)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.worlds is other.worlds


@lru_cache(maxsize=1)
def _merged(same: _Same) -> list[tuple[World, Seen, Plan]]:
    seen = [see(world) for world in same.worlds]
    return list(zip(same.worlds, seen, engine.decide(seen), strict=True))


@lru_cache(maxsize=1)
def _after_a_night(same: _Same) -> tuple[list[World], list[Plan]]:
    """Play one night on copies; then plan a second one two seconds later, without playing it."""
    worlds = night.copies(same.worlds)
    night.night(worlds, same.worlds[0].setting.now)
    again = night.copies(worlds)
    plans = night.night(again, same.worlds[0].setting.now + 2 * SECOND, NOTHING)
    return worlds, plans


NOTHING = Circumstances(is_plan_only=True)


def expectations(seen: Seen) -> list[Expectation]:
    return [oracle.expect(group) for group in oracle.groups(seen)]


def dice_of(world: World, number: int = 0) -> random.Random:
    """Dice of a world's own: it breaks alone as it does among others."""
    return random.Random(world.number * 10 + number)


def has_future(world: World) -> bool:
    """Whether something is dated later than the night: for the next one it is news."""
    now = world.setting.now
    changes = [r.modified_at for r in world.records.values() if r.modified_at]
    return any(act.recorded_at >= now for act in world.acts) or any(at > now for at in changes)


def expires_soon(world: World) -> bool:
    """Whether evidence can be judged by this night and not by one two seconds later."""
    oldest = world.setting.now - world.setting.waits
    return any(oldest <= act.recorded_at <= oldest + 2 * SECOND for act in world.acts)


def box(world: World, group: Group, name: str) -> bool | None:
    """The box of a group's record as it is now, if it can be read."""
    record = world.records.get(group.record_id or "")
    hidden = record is None or record.is_hidden or (record.object, name) in world.setting.unreadable
    return None if hidden or record is None else record.flags[name]


def is_quarantined(group: Group, name: str) -> bool:
    links = [oracle.link_of(group, person, group.record_id, name) for person in group.people]
    return any(link is not None and link["flips"] >= TUG for link in links)


def values(world: World, group: Group) -> dict[object, bool | None]:
    """All values of a group that can be read and are not quarantined."""
    found: dict[object, bool | None] = {p: is_opted_out(world, p) for p in group.people}
    for name in world.setting.fields:
        if group.record is not None and not is_quarantined(group, name):
            found[name] = box(world, group, name)
    return {key: value for key, value in found.items() if value is not None}


def evidence_ids(group: Group) -> set[int]:
    return {row["act_id"] for person in group.people for row in oracle.evidence_of(group, person)}


def has_accepted(group: Group, plan: Plan) -> bool:
    rows = [row for person in group.people for row in oracle.evidence_of(group, person)]
    return any(row["is_accepted"] or row["act_id"] in plan.accepted for row in rows)


def cleared(plan: Plan) -> set[object]:
    return {key for key, written in plan.writes().items() if False in written}


# 1 to 4 --------------------------------------------------------------------------------------


def no_opt_out_is_lost(worlds: list[World]) -> Iterator[Broken]:
    """1. Any opt-out and no accepted evidence: opted out everywhere writable, after one night."""
    after, _ = _after_a_night(_Same(worlds))
    for (world, seen, plan), later in zip(merged(worlds), after, strict=True):
        if world.setting.rule != "opt_out_wins":
            continue
        for group in oracle.groups(seen):
            is_out = any(one.counts is True for one in oracle.opt_outs(group))
            found = values(later, group)
            if is_out and not has_accepted(group, plan) and not _all_out(group, found):
                yield world, f"group {group.people} is opted out, and then {found}"


def _all_out(group: Group, found: dict[object, bool | None]) -> bool:
    """Whether all values say out; people who perhaps do not belong together may differ."""
    return all(found.values()) or not group.is_sure


def a_second_night_plans_nothing(worlds: list[World]) -> Iterator[Broken]:
    """2. A second run without outside change plans nothing."""
    _, plans = _after_a_night(_Same(worlds))
    for world, plan in zip(worlds, plans, strict=True):
        if has_future(world) or any(link.flips >= TUG for link in world.links.values()):
            continue
        if not night.is_quiet(plan):
            yield world, f"the second night plans {_changes(plan)}"


def _changes(plan: Plan) -> object:
    return plan.writes(), plan.bases, plan.relinks, plan.retired, plan.visibility, plan.accepted


def order_does_not_matter(worlds: list[World]) -> Iterator[Broken]:
    """3. The order of rows, links and sides does not matter."""
    frames = engine.extract([see(world) for world in worlds])
    mixed = Extract(**{name: _shuffled(getattr(frames, name)) for name in engine.SCHEMAS})
    setting = worlds[0].setting
    numbers = [world.number for world in worlds]
    plans = engine.split(engine.run(mixed, setting), numbers)
    turned = replace(setting, fields=setting.fields[::-1])
    turned_plans = engine.split(engine.run(mixed, turned), numbers)
    for (world, _, plan), other, third in zip(merged(worlds), plans, turned_plans, strict=True):
        if normal(plan) != normal(other):
            yield world, f"{_difference(normal(plan), normal(other))} in another order"
        if plan.writes() != third.writes() or plan.accepted != third.accepted:
            yield world, "other writes with the fields in another order"


def _shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(frac=1, random_state=7)


def normal(plan: Plan) -> dict[str, list[str]]:
    return {name: sorted(map(repr, getattr(plan, name))) for name in FRAMES}


def _difference(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, object]:
    return {n: (set(one[n]) ^ set(other[n])) for n in one if one[n] != other[n]}


def both_sides_and_the_base_agree_after_success(worlds: list[World]) -> Iterator[Broken]:
    """4. After success store, Salesforce and base are equal, unless held or quarantined."""
    after, _ = _after_a_night(_Same(worlds))
    for world, later in zip(worlds, after, strict=True):
        if has_future(world):
            continue
        for group in oracle.groups(see(later)):
            if group.record is not None and oracle.is_all_known(group):
                yield from ((world, line) for line in _disagreements(later, group))


def _disagreements(world: World, group: Group) -> Iterator[str]:
    for name in world.setting.fields:
        if is_quarantined(group, name):
            continue
        sides = {is_opted_out(world, person) for person in group.people}
        bases = {oracle.base_of(group, person, name) for person in group.people}
        if len(sides | bases | {box(world, group, name)}) != 1:
            yield f"{group.record_id} {name}: store {sides}, box {box(world, group, name)}, {bases}"


# 5 to 7 --------------------------------------------------------------------------------------


def ignorance_never_clears(worlds: list[World]) -> Iterator[Broken]:
    """5. Removing a time, a base or evidence, or hiding a record, never turns out into in."""
    for number, forget in enumerate((_forget_time, _forget_base, _forget_evidence, _hide)):
        poorer = [forget(see(world), dice_of(world, number)) for world in worlds]
        plans = engine.decide(poorer)
        for (world, _, plan), other in zip(merged(worlds), plans, strict=True):
            more = cleared(other) - cleared(plan)
            if more:
                yield world, f"{forget.__name__} clears {more}"


def _forget_time(seen: Seen, dice: random.Random) -> Seen:
    """Forget when a box was ticked, but not of one that evidence has answered before.

    There the time alone tells that the box was ticked again since.
    """
    answered = {(one["record_id"], one["field"]) for one in seen.links if one["evidence_id"]}
    times = [one for one in seen.times if (one["record_id"], one["field"]) not in answered]
    if times and dice.random() < 0.6:
        seen.times.remove(dice.choice(times))
    elif seen.records:
        dice.choice(seen.records)["last_modified_at"] = None
        seen.times = [one for one in seen.times if one not in times]
    return seen


def _forget_base(seen: Seen, dice: random.Random) -> Seen:
    """Forget a base, but not of a record that was left: its opt-out joins by its base alone."""
    links = [link for link in seen.links if link["record_id"] in _named_now(seen)]
    if links:
        link = dice.choice(links)
        if dice.random() < 0.5:
            link["base"] = link["base_since"] = None
        link["evidence_id"] = None
    return seen


def _named_now(seen: Seen) -> set[str | None]:
    return {home.record for group in oracle.groups(seen) for home in group.homes.values()}


def _left(seen: Seen) -> set[str]:
    """Records that somebody was linked to who names another one now."""
    homes = {p: home.record for g in oracle.groups(seen) for p, home in g.homes.items()}
    return {
        one["record_id"]
        for one in seen.links
        if homes.get(one["person_id"], one["record_id"]) != one["record_id"]
    }


def _forget_evidence(seen: Seen, dice: random.Random) -> Seen:
    rows = [row for row in seen.resubscribes if row["is_evidence"]]
    if rows:
        seen.resubscribes.remove(dice.choice(rows))
    return seen


def _hide(seen: Seen, dice: random.Random) -> Seen:
    """Hide a record that lives and is named.

    Without one that was merged nobody knows who belongs together, and of one that a person left
    only the base remains.
    """
    living = [row for row in seen.records if not row["is_deleted"] and not row["is_converted"]]
    living = [row for row in living if row["record_id"] in _named_now(seen) - _left(seen)]
    if living:
        seen.records.remove(dice.choice(living))
    return seen


def planning_writes_nothing_and_tells_the_truth(worlds: list[World]) -> Iterator[Broken]:
    """6. A plan-only night writes nothing and plans exactly what the real run would do."""
    before = [deepcopy(world) for world in worlds]
    seen = [see(world) for world in before]
    frames = engine.extract(seen)
    kept = {name: getattr(frames, name).copy(deep=True) for name in engine.SCHEMAS}
    plans = engine.split(engine.run(frames, worlds[0].setting), [w.number for w in worlds])
    for name, frame in kept.items():
        pd.testing.assert_frame_equal(frame, getattr(frames, name))
    night.night(before, worlds[0].setting.now, NOTHING)
    for (world, _, plan), copy, other in zip(merged(worlds), before, plans, strict=True):
        if copy != world:
            yield world, "planning changed the world"
        if normal(plan) != normal(other):
            yield world, "the same night planned twice is not the same"


def every_decision_has_a_code_and_its_inputs(worlds: list[World]) -> Iterator[Broken]:
    """7. Every decision has a code and its inputs."""
    for world, seen, plan in merged(worlds):
        for row in plan.decisions:
            lacking = [what for what, is_there in _told(seen, row).items() if not is_there]
            if lacking:
                yield world, f"{row['code']} of {row['person_id']}: {', '.join(lacking)} lacking"


def _told(seen: Seen, row: Row) -> dict[str, bool]:
    """What a decision must tell, and whether this one does."""
    writes = row["target_store"] is not None or row["target_salesforce"] is not None
    link = [
        one
        for one in seen.links
        if all(one[name] == row[name] for name in ("person_id", "record_id", "field"))
    ]
    group = next(g for g in oracle.groups(seen) if row["person_id"] in g.people)
    acts = oracle.acts_of(group, row["person_id"])
    return {
        "code": row["code"] in set(Code),
        "sentence": bool(row["reason"]) and "{" not in row["reason"],
        "rule": row["rule"] == seen.setting.rule,
        "cause": bool(row["cause"]) or not writes or _is_forgotten(row),
        "base": row["base"] == (link[0]["base"] if link else None),
        "store": row["store_is_opted_out"] == bool(acts),
        "box": row["salesforce_is_opted_out"] in _box_of(seen, row),
        "whose opt-out it is": row["code"] != "SHARED_RECORD" or _is_other(seen, group, row),
        "evidence": row["code"] != "RESUBSCRIBED" or row["evidence_id"] in evidence_ids(group),
    }


def _is_forgotten(row: Row) -> bool:
    """Whether the store forgot an opt-out, as when settings were changed: no act did that."""
    return row["code"] == "CLEARED_IN_STORE_ONLY" and row["target_store"] is None


def _is_other(seen: Seen, group: Group, row: Row) -> bool:
    """Whether it names somebody else of the group; at the end of a chain they are not known."""
    known = group.people if group.is_sure else [one["person_id"] for one in seen.people]
    return row["shared_with"] in known and row["shared_with"] != row["person_id"]


def _box_of(seen: Seen, row: Row) -> set[bool | None]:
    """What a decision may say of its box: what was read.

    Also nothing, of a record that ended and of a field outside the mode: neither is asked.
    """
    for record in seen.records:
        if record["record_id"] == row["record_id"] and record["object"] in seen.readable(
            row["field"]
        ):
            has_ended = record["is_deleted"] or record["is_converted"]
            is_outside = row["field"] not in seen.setting.fields
            return {record[row["field"]]} | ({None} if has_ended or is_outside else set())
    return {None}


# 8 to 11 -------------------------------------------------------------------------------------


def stopping_anywhere_changes_nothing(worlds: list[World]) -> Iterator[Broken]:
    """8. Stop anywhere, run again: the same end state."""
    now = worlds[0].setting.now
    whole, killed = night.copies(worlds), night.copies(worlds)
    night.night(whole, now)
    for world, (_, _, plan) in zip(killed, merged(worlds), strict=True):
        writes = night.count_writes(world, plan)
        stop = Circumstances(stop_after=dice_of(world).randint(0, writes))
        night.load(world, plan, now, stop, night.Clock())
    for world in whole:
        world.setting = replace(world.setting, now=now + 2 * SECOND)
    night.night(killed, now + 2 * SECOND)
    night.night(whole, now + 2 * SECOND)
    for world, one, other in zip(worlds, whole, killed, strict=True):
        ends = night.end_state(one), night.end_state(other)
        if ends[0] != ends[1] and not has_future(world) and not expires_soon(world):
            keys = [key for key in ends[0] | ends[1] if ends[0].get(key) != ends[1].get(key)]
            told = {key: (ends[0].get(key), ends[1].get(key)) for key in keys}
            yield world, f"(whole, killed): {told}"


def nothing_is_cleared_without_evidence(worlds: list[World]) -> Iterator[Broken]:
    """9. Nothing is cleared without accepted evidence under `opt_out_wins`."""
    for world, seen, plan in merged(worlds):
        if world.setting.rule != "opt_out_wins":
            continue
        groups = oracle.groups(seen)
        for row in plan.decisions:
            if False not in (row["target_store"], row["target_salesforce"]):
                continue
            group = next(g for g in groups if row["person_id"] in g.people)
            if row["evidence_id"] not in evidence_ids(group) or not has_accepted(group, plan):
                yield world, f"{row['code']} of {row['person_id']} names {row['evidence_id']}"


def what_cannot_be_read_is_never_written(worlds: list[World]) -> Iterator[Broken]:
    """10. Unreadable and missing never cause a write, and never move a base."""
    for world, seen, plan in merged(worlds):
        rows = {row["record_id"]: row for row in seen.records}
        boxes = set(plan.salesforce) | {(record, name) for _, record, name in plan.bases}
        for record, name in boxes:
            row = rows.get(record)
            if row is None or row["object"] not in seen.readable(name) or row[name] is None:
                yield world, f"{record} {name} cannot be read"
            elif row["is_deleted"] or row["is_converted"]:
                yield world, f"{record} does not live any more"


def the_outcome_is_a_plain_or(worlds: list[World]) -> Iterator[Broken]:
    """11. Every outcome, verdict and base is what the oracle reads in the rules."""
    for world, seen, plan in merged(worlds):
        for line in compare.differences(seen, plan):
            yield world, line


def one_link_has_the_code_of_the_table(worlds: list[World]) -> Iterator[Broken]:
    """4 of the rules. A link that stands alone has its line's code."""
    for world, seen, plan in merged(worlds):
        for one in expectations(seen):
            wanted = _code_alone(one, plan)
            rows = [r for r in plan.decisions if r["person_id"] == one.group.people[0]]
            if wanted and rows and {row["code"] for row in rows} != {wanted}:
                yield world, f"{[row['code'] for row in rows]}, and the table says {wanted}"


def _code_alone(expected: Expectation, plan: Plan) -> str | None:
    """The code of a group that is one person, one living record and one field; else None."""
    group, fields = expected.group, expected.group.seen.setting.fields
    person = group.people[0]
    is_one = len(group.people) == len(fields) == 1 and group.record is not None
    links = [row for row in group.seen.links if row["person_id"] == person]
    is_plain = all(
        (row["record_id"], row["field"], row["state"]) == (group.record_id, fields[0], "active")
        for row in links
    )
    if not is_one or not is_plain or group.homes[person].passed:
        return None
    return _line(group, person, fields[0], has_accepted(group, plan))


def _line(group: Group, person: int, name: str, has_evidence: bool) -> str | None:
    read = oracle.value(group, name)
    if read is None or has_evidence or is_quarantined(group, name):
        return None
    store = bool(oracle.acts_of(group, person))
    if group.seen.setting.rule == "changed_side" and oracle.evidence_of(group, person):
        return None
    if group.seen.setting.rule == "changed_side" and store:
        says = oracle.says_no_longer(group, person)
        if says is not False:
            return None
    return oracle.TABLE[oracle.base_of(group, person, name), store, read]


# 12 to 15 ------------------------------------------------------------------------------------


def valid_evidence_succeeds(worlds: list[World]) -> Iterator[Broken]:
    """12. With acceptable evidence and no later opt-out, everything writable is in after a night.

    Also when the first night cannot write to Salesforce, and other fields are edited afterwards.
    """
    now = worlds[0].setting.now
    smooth, rough = night.copies(worlds), night.copies(worlds)
    night.night(smooth, now)
    refused = Circumstances(failing=frozenset(("salesforce", r) for w in worlds for r in w.records))
    night.night(rough, now, refused)
    for world in rough:
        for record in world.records.values():
            record.modified_at, record.modified_by = now + DAY / 2, HUMAN
    night.night(rough, now + DAY)
    for how, played in (("at once", smooth), ("on the second night", rough)):
        for (world, seen, _), later in zip(merged(worlds), played, strict=True):
            left = [values(later, group) for group in _to_be_cleared(seen)]
            if any(any(found.values()) for found in left) and not has_future(world):
                yield world, f"there is evidence, and {how} {left}"


def _to_be_cleared(seen: Seen) -> list[Group]:
    found = [group for group in oracle.groups(seen) if oracle.is_ended_by_evidence(group)]
    return [group for group in found if group.is_sure]


def a_rerun_writes_nothing_else(worlds: list[World]) -> Iterator[Broken]:
    """13. A rerun writes nothing that a live night at the same moment would not write."""
    only = [night.people_with(w, _some(w)) for w in worlds]
    plans = engine.decide([see(world, some) for world, some in zip(worlds, only, strict=True)])
    for (world, _, plan), some, part in zip(merged(worlds), only, plans, strict=True):
        for name in ("decisions", "judgements", "relinks"):
            live = {repr(row) for row in getattr(plan, name) if row["person_id"] in some}
            rerun = {repr(row) for row in getattr(part, name)}
            if live != rerun:
                yield world, f"{name} of {sorted(some)} alone: {live ^ rerun}"


def _some(world: World) -> list[int]:
    dice = dice_of(world)
    return [person for person in world.people if dice.random() < 0.5]


def a_refusal_never_stands_in_the_way(worlds: list[World]) -> Iterator[Broken]:
    """14. A refused or waiting clear never creates an act newer than the evidence's judgement.

    So what new evidence would achieve a second later, it achieves after the night as well.
    """
    now = worlds[0].setting.now
    plans = [plan for _, _, plan in merged(worlds)]
    without, with_night = night.copies(worlds), night.copies(worlds)
    for world, plan in zip(with_night, plans, strict=True):
        night.load(world, plan, now, Circumstances(is_held=True), night.Clock())
    for world in without + with_night:
        _say_it_again(world, now + DAY)
    before = night.night(without, now + DAY + SECOND, NOTHING)
    after = night.night(with_night, now + DAY + SECOND, NOTHING)
    for world, plan, one, other in zip(worlds, plans, before, after, strict=True):
        is_ticked = any(True in written for written in plan.salesforce.values())
        lost = _new(one) - _new(other)
        if lost and not is_ticked and not has_future(world):
            yield world, f"{lost} would have been accepted without the night"


def _say_it_again(world: World, at: Any) -> None:
    for person in world.people:
        world.acts.append(
            Act(
                id=next_act(world) + 100,
                person=person,
                kind="resubscribe",
                origin="Clicked Link",
                occurred_at=at,
                recorded_at=at,
                is_evidence=True,
            )
        )


def _new(plan: Plan) -> set[int]:
    """Whose new evidence is accepted."""
    newest = {row["person_id"]: 0 for row in plan.judgements}
    for row in plan.judgements:
        newest[row["person_id"]] = max(newest[row["person_id"]], row["act_id"])
    accepted = plan.accepted
    return {person for person, act in newest.items() if act in accepted}


def retries_of_older_acts_change_nothing(worlds: list[World]) -> Iterator[Broken]:
    """15. No sequence of retries of an older act changes the effect of a newer one.

    An opt-out of yesterday's night is recorded again, after everybody's evidence was accepted.
    """
    now = worlds[0].setting.now
    old = [plan for _, _, plan in merged(worlds)]
    once, twice = night.copies(worlds), night.copies(worlds)
    for world in once + twice:
        _say_it_again(world, now + DAY)
    night.night(once, now + DAY + SECOND)
    night.night(twice, now + DAY + SECOND)
    for world, plan in zip(twice, old, strict=True):
        _retry(world, plan, now)
    night.night(once, now + 2 * DAY)
    night.night(twice, now + 2 * DAY)
    for world, one, other in zip(worlds, once, twice, strict=True):
        ends = night.end_state(one), night.end_state(other)
        if ends[0] != ends[1]:
            told = {k: (v, ends[1].get(k)) for k, v in ends[0].items() if v != ends[1].get(k)}
            yield world, f"(once, retried): {told}"


def _retry(world: World, plan: Plan, read_at: Any) -> None:
    """Record again what a plan of `read_at` wanted the store to know."""
    late = world.setting.now + SECOND
    for person, written in plan.store.items():
        if True not in written or person not in world.people:
            continue
        cause = next(
            r["cause"] for r in plan.decisions if r["person_id"] == person and r["target_store"]
        )
        number = next_act(world)
        act = Act(number, person, "unsubscribe", SYNC, read_at, late, caused_by=cause)
        world.acts.append(act)


def only_the_records_in_question_need_their_history(worlds: list[World]) -> Iterator[Broken]:
    """The times of other records than those that the engine asks for change nothing."""
    seen = [see(world) for world in worlds]
    asked = engine.question(seen)
    for one in seen:
        one.times = [row for row in one.times if row["record_id"] in asked]
    for (world, _, plan), other in zip(merged(worlds), engine.decide(seen), strict=True):
        if (plan.writes(), plan.accepted) != (other.writes(), other.accepted):
            yield world, "with the times of the records in question alone it is decided otherwise"


SECTION_10: dict[str, Property] = {
    "1": no_opt_out_is_lost,
    "2": a_second_night_plans_nothing,
    "3": order_does_not_matter,
    "4": both_sides_and_the_base_agree_after_success,
    "5": ignorance_never_clears,
    "6": planning_writes_nothing_and_tells_the_truth,
    "7": every_decision_has_a_code_and_its_inputs,
    "8": stopping_anywhere_changes_nothing,
    "9": nothing_is_cleared_without_evidence,
    "10": what_cannot_be_read_is_never_written,
    "11": the_outcome_is_a_plain_or,
    "12": valid_evidence_succeeds,
    "13": a_rerun_writes_nothing_else,
    "14": a_refusal_never_stands_in_the_way,
    "15": retries_of_older_acts_change_nothing,
}
OTHERS: dict[str, Property] = {
    "table": one_link_has_the_code_of_the_table,
    "history": only_the_records_in_question_need_their_history,
}
