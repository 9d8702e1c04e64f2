"""A night in shards: the same decisions, recorded together, and each shard repeated alone."""

import pytest

from include.audit import attempts
from include.audit.runs import find
from include.domain.values import SalesforceObject
from include.sync import nightly
from include.sync.clock import utc_now
from include.sync.nightly.inputs import shards_of
from include.sync.nightly.merge import ShardNotDecidedError
from include.sync.nightly.steps import stage_of
from include.sync.reproduce import reproduce
from include.sync.simulate import simulate
from include.sync.staging import StagingIncompleteError

LEAD = SalesforceObject.LEAD
DIFFERS = ["id", "sync_run_id", "decided_at", "supersedes"]


@pytest.fixture
def in_shards(world):
    """The emulated org has ninety records and a few more."""
    world.shard_rows = 20
    return world


def work(world):
    """Something of everything: alone, shared, converted, merged, moved, nonsense, a consent."""
    pairs = [world.pair(*both) for both in [(True, False), (False, True), (True, True)] * 4]
    pairs += [world.pair(True, False, LEAD) for _ in range(3)]
    shared = world.record(False)
    for is_out in (True, False, False):
        person = world.person(shared)
        if is_out:
            world.unsubscribe(person)
    nobody = world.person(None)
    world.unsubscribe(nobody)
    world.consent(world.pair(True, True)[0])
    return pairs


def decided(world, run_id):
    rows = world.decisions(run_id).drop(columns=DIFFERS)
    return rows.sort_values(["person_id", "record_id", "field"], ignore_index=True)


def shards(world, run_id):
    return shards_of(world.engine, find(world.engine, run_id))


def merged(world, run_id):
    return attempts.step_counts(world.engine, run_id, "merge")


def test_a_night_in_shards_decides_what_a_whole_night_decides(world):
    work(world)
    whole = world.night(plan_only=True)
    world.shard_rows = 20
    parts = world.night(plan_only=True)
    assert shards(world, whole) == 1
    assert shards(world, parts) > 3
    assert len(decided(world, whole)) > 10
    assert decided(world, parts).to_csv() == decided(world, whole).to_csv()
    assert merged(world, parts) == merged(world, whole)


def test_a_night_in_shards_is_carried_out_and_the_next_one_finds_nothing(in_shards):
    pairs = work(in_shards)
    in_shards.night()
    assert all(in_shards.agreed(*pair) is True for pair in pairs)
    assert in_shards.decisions(in_shards.night()).empty


def test_what_a_night_in_shards_decided_can_be_shown_again(in_shards):
    work(in_shards)
    run_id = in_shards.night()
    again = reproduce(in_shards.engine, in_shards.staging, run_id, now=utc_now())
    assert again.difference is None
    assert again.decisions == len(in_shards.decisions(run_id))


def test_other_settings_are_tried_on_a_night_in_shards_as_on_a_whole_one(world):
    work(world)
    runs = [world.night(plan_only=True)]
    world.shard_rows = 20
    runs.append(world.night(plan_only=True))
    tried = []
    for run_id in runs:
        run = find(world.engine, run_id)
        other = run.settings.settings.model_copy(update={"conflict_rule": "changed_side"})
        tried.append(simulate(world.engine, world.staging, run, other))
    whole, parts = tried
    assert parts.differences.to_csv() == whole.differences.to_csv()
    assert parts.codes.to_csv() == whole.codes.to_csv()
    assert parts.verdicts.to_csv() == whole.verdicts.to_csv()


def test_nothing_is_recorded_while_a_shard_is_not_decided(in_shards):
    work(in_shards)
    attempt, run_id = in_shards.open_night()
    steps = in_shards.steps(run_id)
    for name in ("extract.store", "extract.contact", "extract.lead", "split"):
        steps.pop(name)()
    decide(in_shards, run_id, 0)
    with pytest.raises(ShardNotDecidedError, match=f"run {run_id}: shard 1, 2, .* is not decided"):
        steps["merge"]()
    assert in_shards.decisions(run_id).empty
    for step in steps.values():
        step()
    in_shards.report(attempt)


def decide(world, run_id, shard):
    return nightly.decide(
        world.engine, world.client(), world.staging, run_id, shard, clock=world.clock
    )


def test_a_shard_that_is_repeated_repeats_only_itself(in_shards):
    """Its worker died: its files are half there, the others' stay as they are."""
    work(in_shards)
    attempt, run_id = in_shards.open_night()
    steps = in_shards.steps(run_id)
    for name in ("extract.store", "extract.contact", "extract.lead", "split"):
        steps.pop(name)()
    count = shards(in_shards, run_id)
    stages = [
        stage_of(in_shards.staging, find(in_shards.engine, run_id)).of_shard(n, count)
        for n in range(count)
    ]
    for shard in range(1, count):
        decide(in_shards, run_id, shard)
    stages[0].prepare("decided")
    with pytest.raises(StagingIncompleteError):
        stages[0].read("decided")
    before = [{file.name: file.stat().st_mtime for file in s.prefix.iterdir()} for s in stages]
    for step in steps.values():
        step()
    in_shards.report(attempt)
    after = [{file.name: file.stat().st_mtime for file in s.prefix.iterdir()} for s in stages]
    assert before[1:] == after[1:]
    assert before[0] != after[0]


def test_a_night_keeps_its_number_of_shards_when_somebody_changes_the_size(in_shards):
    work(in_shards)
    _, run_id = in_shards.open_night()
    steps = in_shards.steps(run_id)
    for name in ("extract.store", "extract.contact", "extract.lead", "split"):
        steps[name]()
    found = shards(in_shards, run_id)
    in_shards.shard_rows = 1_000_000
    assert in_shards.steps(run_id)["split"]()["shards"] == found
    assert shards(in_shards, run_id) == found
