"""What is decided does not depend on how many shards there are, or on who else is in one."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from include.domain import interval, shards
from include.domain.conflicts import ConflictRule
from include.domain.frames import Extract
from tests.property import engine
from tests.property import worlds as generator
from tests.property.engine import FRAMES
from tests.property.store import see

BATCHES = 6
PER_BATCH = 150
HOUR = timedelta(hours=1)


def dealt(extract, count):
    """Deal an extract out as the night does it, piece by piece."""
    census = shards.Census()
    for piece in pieces(extract.people):
        census.add_people(piece)
    for piece in pieces(extract.records):
        census.add_records(piece)
    for piece in pieces(extract.links):
        census.add_links(piece)
    parts = census.dealt(count)
    of = {
        "people": parts.of_people(extract.people["person_id"]),
        "opt_outs": parts.of_people(extract.opt_outs["person_id"]),
        "resubscribes": parts.of_people(extract.resubscribes["person_id"]),
        "records": parts.of_records(extract.records["record_id"]),
        "links": parts.of_links(extract.links),
        "times": parts.of_records(extract.times["record_id"]),
    }
    assert all(((shard >= 0) & (shard < count)).all() for shard in of.values())
    return [
        Extract(**{name: part(getattr(extract, name), shard == n) for name, shard in of.items()})
        for n in range(count)
    ]


def pieces(frame):
    third = len(frame) // 3 + 1
    return [
        frame.iloc[start : start + third].reset_index(drop=True)
        for start in range(0, len(frame), third)
    ]


def part(frame, mine):
    return frame[mine].reset_index(drop=True)


def rows(results, name):
    found = [row for result in results for row in engine.rows_of(getattr(result, name))]
    return in_order(found)


def in_order(rows):
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def summed(results, name):
    """Add up what is counted by object."""
    objects = {obj for result in results for obj in getattr(result, name)}
    return {
        obj: tuple(np.sum([getattr(each, name).get(obj, (0, 0)) for each in results], axis=0))
        for obj in objects
    }


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("rule", [rule.value for rule in ConflictRule])
def test_shards_together_decide_what_the_whole_decides(rule, count):
    occupied = Counter()
    for seed in range(BATCHES):
        worlds = generator.batch(seed, PER_BATCH, rule)
        setting = worlds[0].setting
        extract = engine.extract([see(world) for world in worlds])
        whole = [engine.run(extract, setting)]
        extracts = dealt(extract, count)
        occupied.update(n for n, one in enumerate(extracts) if len(one.people))
        parts = [engine.run(one, setting) for one in extracts]
        for name in FRAMES:
            assert rows(parts, name) == rows(whole, name), (seed, name)
        for name in ("lost", "opted_out"):
            assert summed(parts, name) == summed(whole, name), (seed, name)
        assert sum((Counter(each.counts) for each in parts), Counter()) == whole[0].counts
        assert sorted(r for each in parts for r in each.crowded) == whole[0].crowded
        asked = [question(one, setting) for one in [extract, *extracts]]
        assert sorted(record for some in asked[1:] for record in some) == sorted(asked[0])
    assert set(occupied) == set(range(count))


@pytest.mark.parametrize("rule", [rule.value for rule in ConflictRule])
def test_a_past_night_is_about_the_same_people_in_shards(rule):
    for seed in range(BATCHES):
        worlds = generator.batch(seed, PER_BATCH, rule)
        setting = worlds[0].setting
        extract = engine.extract([see(world) for world in worlds])
        people = extract.people["person_id"].sample(frac=0.1, random_state=seed).tolist()
        whole = [of_the_night(extract, setting, people)]
        parts = [of_the_night(one, setting, people) for one in dealt(extract, 3)]
        for name in FRAMES:
            assert rows(parts, name) == rows(whole, name), (seed, name)


def of_the_night(extract, setting, people):
    night = interval.scope_of(extract, setting.now - HOUR, setting.now, people)
    return interval.of_scope(extract, engine.run(extract, setting), night)


def question(extract, setting):
    asked = engine.records_in_question(
        extract, engine.choices_of(setting), **engine.arguments(setting)
    )
    return asked["record_id"].tolist()


def test_a_shard_is_the_same_whatever_came_first():
    worlds = generator.batch(1, 50, "opt_out_wins")
    extract = engine.extract([see(world) for world in worlds])
    backwards = Extract(
        **{
            name: getattr(extract, name).iloc[::-1].reset_index(drop=True)
            for name in Extract.__annotations__
        }
    )
    for one, other in zip(dealt(extract, 3), dealt(backwards, 3), strict=True):
        for name in Extract.__annotations__:
            left, right = (in_order(engine.rows_of(getattr(each, name))) for each in (one, other))
            assert left == right, name


@pytest.mark.parametrize(
    ("rows_of_the_night", "shards_of_it"), [(0, 1), (2_999_999, 1), (3_000_000, 2), (10_000_000, 7)]
)
def test_the_number_of_shards_follows_from_the_rows(rows_of_the_night, shards_of_it):
    assert shards.number_of_shards(rows_of_the_night, 1_500_000) == shards_of_it
