"""The properties of the rules over generated worlds, against an oracle written apart from them.

Many small worlds are merged at once: their Ids and people do not meet, so each is decided as if it
were alone. `OPT_OUT_SYNC_WORLDS` says how many worlds each property sees under each rule.
"""

import os
from dataclasses import replace

import pandas as pd
import pytest

from include.domain.conflicts import ConflictRule
from include.domain.frames import Extract
from tests.property import compare, engine, night, store
from tests.property import worlds as generator

WORLDS = int(os.environ.get("OPT_OUT_SYNC_WORLDS", "400"))
PER_BATCH = 200
SEEDS = range(1, max(2, WORLDS // PER_BATCH + 1))
RULES = [rule.value for rule in ConflictRule]

pytestmark = pytest.mark.parametrize("rule", RULES)


def batches(rule):
    for seed in SEEDS:
        yield generator.batch(seed, PER_BATCH, rule)


def planned(worlds):
    seen = [store.see(world) for world in worlds]
    return list(zip(worlds, seen, engine.decide(seen), strict=True))


def test_every_group_is_decided_as_the_oracle_allows(rule):
    for worlds in batches(rule):
        for world, seen, plan in planned(worlds):
            assert compare.differences(seen, plan) == [], generator.literal(world)


def test_every_decision_has_a_code_its_inputs_and_a_sentence_of_its_own(rule):
    for worlds in batches(rule):
        for world, _, plan in planned(worlds):
            for row in plan.decisions:
                assert row["code"], generator.literal(world)
                assert "Decided by the rule" not in row["reason"], generator.literal(world)
                writes = row["target_store"] is not None or row["target_salesforce"] is not None
                assert not writes or row["cause"] or rule == "changed_side"


def test_nothing_is_cleared_without_accepted_evidence_unless_the_changed_side_decides(rule):
    for worlds in batches(rule):
        for world, _, plan in planned(worlds):
            for row in plan.decisions:
                clears = row["target_store"] is False or row["target_salesforce"] is False
                explained = row["evidence_id"] is not None or rule == "changed_side"
                assert not clears or explained, generator.literal(world)


def test_what_cannot_be_read_is_never_written_in_salesforce(rule):
    for worlds in batches(rule):
        for world, _, plan in planned(worlds):
            for row in plan.decisions:
                written = row["target_salesforce"] is not None
                read = row["salesforce_is_opted_out"] is not None
                assert not written or read, generator.literal(world)


def test_the_order_of_rows_does_not_matter(rule):
    for worlds in batches(rule):
        frames = engine.extract([store.see(world) for world in worlds])
        setting = worlds[0].setting
        straight, shuffled = (
            engine.run(extract, setting) for extract in (frames, _shuffled(frames))
        )
        pd.testing.assert_frame_equal(straight.decisions, shuffled.decisions)
        pd.testing.assert_frame_equal(straight.judgements, shuffled.judgements)


def _shuffled(frames):
    names = Extract.__dataclass_fields__
    return Extract(
        **{
            name: getattr(frames, name).sample(frac=1, random_state=7).reset_index(drop=True)
            for name in names
        }
    )


def test_a_plan_writes_nothing_and_is_what_the_night_does(rule):
    for worlds in batches(rule):
        now = worlds[0].setting.now
        planned_only, real = night.copies(worlds), night.copies(worlds)
        before = [night.end_state(world) for world in planned_only]
        plans = night.night(planned_only, now, night.Circumstances(is_plan_only=True))
        assert [night.end_state(world) for world in planned_only] == before
        assert [plan.decisions for plan in plans] == [
            plan.decisions for plan in night.night(real, now)
        ]


def test_ignorance_opts_nobody_in(rule):
    """Hiding a field never turns a planned opt-out of the store into a clear."""
    for worlds in batches(rule):
        blind = [_blinded(world) for world in night.copies(worlds)]
        for world, _, plan in planned(blind):
            cleared = {r["person_id"] for r in plan.decisions if r["target_salesforce"] is False}
            assert not cleared, generator.literal(world)


def _blinded(world):
    hidden = frozenset(
        (obj, field) for obj in ("Contact", "Lead") for field in world.setting.fields
    )
    world.setting = replace(world.setting, unreadable=hidden)
    return world
