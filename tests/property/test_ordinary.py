"""The short way for ordinary opt-outs decides exactly what the merge decides, or nothing."""

import random
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from include.domain import ordinary
from tests.property import engine
from tests.property.store import see
from tests.property.worlds import (
    EMAIL,
    NOW,
    OWN_ORIGINS,
    SALES,
    SYNC,
    Act,
    Link,
    Person,
    Record,
    Setting,
    World,
    contact,
    lead,
)


def shortly(world):
    """What the short way decides; null where it leaves it to the merge."""
    extract, setting = engine.extract([see(world)]), world.setting
    return ordinary.merge(
        extract.people,
        extract.opt_outs,
        extract.resubscribes,
        extract.links,
        [part for _, part in extract.records.groupby("object")],
        engine.choices_of(setting),
        engine.arguments(setting)["readable"],
    )


def in_full(world):
    return engine.run(engine.extract([see(world)]), world.setting)


def assert_same(short, full):
    pd.testing.assert_frame_equal(short.decisions, full.decisions)
    for name in engine.FRAMES:
        if name != "decisions":
            frame = getattr(full, name)
            assert frame.empty
            assert list(getattr(short, name)) == list(frame)
            assert getattr(short, name).empty
    for name in ("counts", "lost", "opted_out", "crowded"):
        assert getattr(short, name) == getattr(full, name)


def ordinary_world(dice):
    """People with a record of their own who opted out once; Salesforce does not show it."""
    fields = dice.choice([(EMAIL,), (SALES,), (EMAIL, SALES)])
    scopes = dice.choice([("team",), ("team", "sender")])
    world = World(Setting(fields=fields, scopes=scopes, bounces=dice.random() < 0.5))
    origins = [each for each in OWN_ORIGINS if each != "Bounce" or world.setting.bounces]
    for number in dice.sample(range(1, 60), dice.randint(1, 5)):
        record_id = dice.choice([contact, lead])(number)
        at = NOW - timedelta(seconds=dice.randint(0, 10**6), microseconds=dice.randint(0, 10**6))
        flags = dict.fromkeys((EMAIL, SALES), False)
        modified = dice.choice([None, NOW - timedelta(days=3), NOW + timedelta(hours=1)])
        scope = dice.choice(scopes)
        world.add(
            Person(number, record_id),
            Record(record_id, flags, modified),
            Act(number * 7, number, "unsubscribe", dice.choice(origins), at, at, scope),
        )
        for field in fields:
            if dice.random() < 0.6:
                base = dice.choice([None, False])
                since = None if base is None else NOW - timedelta(days=9)
                world.add(Link(number, record_id, field, base, since))
    return world


@pytest.mark.parametrize("seed", range(60))
def test_an_ordinary_opt_out_is_decided_as_the_merge_decides_it(seed):
    world = ordinary_world(random.Random(seed))
    short = shortly(world)
    assert short is not None
    assert len(short.decisions) == len(world.people) * len(world.setting.fields)
    assert_same(short, in_full(world))


def _another_act(world, person, dice):
    at = NOW - timedelta(hours=1)
    origin, kind = dice.choice([*OWN_ORIGINS, SYNC]), dice.choice(["unsubscribe", "resubscribe"])
    cause = "act:1" if origin == SYNC else None
    scope = dice.choice(["team", "sender"])
    world.add(Act(999, person.id, kind, origin, at, at, scope, dice.random() < 0.5, cause))


def _no_act(world, person, dice):
    world.acts = [act for act in world.acts if act.person != person.id]


def _another_origin(world, person, dice):
    origin = dice.choice(["Bounce", SYNC])
    cause = "act:1" if origin == SYNC else None
    world.acts[0] = replace(world.acts[0], origin=origin, caused_by=cause)


def _another_scope(world, person, dice):
    world.acts[0] = replace(world.acts[0], scope="sender")


def _another_id(world, person, dice):
    one = person.salesforce_id
    person.salesforce_id = dice.choice([None, "nonsense", one[:15], f" {one}", contact(99)])


def _a_sharer(world, person, dice):
    one = person.salesforce_id
    world.add(Person(70, dice.choice([one, one[:15], None])))


def _another_record(world, person, dice):
    record, other = world.records[person.salesforce_id], contact(98)
    change = dice.choice(["ticked", "deleted", "merged", "converted", "account", "hidden"])
    if change == "ticked":
        record.flags[dice.choice([EMAIL, SALES])] = True
    elif change == "deleted":
        record.is_deleted = True
    elif change == "merged":
        record.is_deleted, record.master = True, other
    elif change == "converted":
        record.is_converted, record.contact = True, other
    elif change == "account":
        record.account = "001000000000001AAA"
    else:
        record.is_hidden = True


def _another_link(world, person, dice):
    record_id = dice.choice([person.salesforce_id, contact(97)])
    field = dice.choice([EMAIL, SALES])
    link = Link(person.id, record_id, field, False, NOW - timedelta(days=2))
    change = dice.choice(["base", "state", "is_visible", "evidence", "flips", "nothing"])
    values = {"base": True, "state": "gone", "is_visible": False, "evidence": 5, "flips": 3}
    world.add(link if change == "nothing" else replace(link, **{change: values[change]}))


def _another_setting(world, person, dice):
    unreadable = frozenset({(dice.choice(["Contact", "Lead"]), dice.choice([EMAIL, SALES]))})
    changed = {"rule": "changed_side"} if dice.random() < 0.3 else {"unreadable": unreadable}
    world.setting = replace(world.setting, **changed)


CHANGES = [
    _another_act, _no_act, _another_origin, _another_scope, _another_id, _a_sharer,
    _another_record, _another_link, _another_setting,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_not_ordinary_is_left_to_the_merge(change):
    left = 0
    for seed in range(25):
        dice = random.Random(seed)
        world = deepcopy(ordinary_world(dice))
        change(world, dice.choice([*world.people.values()]), dice)
        short = shortly(world)
        left += short is None
        if short is not None:
            assert_same(short, in_full(world))
    assert left > 0
