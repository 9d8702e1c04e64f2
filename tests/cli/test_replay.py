"""`replay --from-extract`: the recorded decisions of a night again, or the first difference."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from include.audit import runs
from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from include.sync.preflight import Trigger, preflight
from tests.database.world import open_run


@pytest.fixture
def replay(say, world, monkeypatch):
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", world.staging.as_uri())
    return lambda run, *options: say("replay", run, "--from-extract", *options)


@pytest.fixture
def night(world):
    """A night with a decision of nearly every kind, and what happened after it."""
    for obj in SalesforceObject:
        for store in (True, False):
            for salesforce in (True, False):
                world.pair(store, salesforce, obj)
    cleared, record = world.pair(True, True)
    consenting, _ = world.pair(True, True)
    world.person(None, opted_out=True)
    world.person("no Id at all", opted_out=True)
    world.night()
    world.org.edit(record, HasOptedOutOfEmail=False)
    world.consent(consenting)
    world.person(None, opted_out=True)
    shared = world.record(True)
    world.person(shared), world.person(shared)
    run = world.night()
    world.consent(cleared)
    world.pair(True, False)
    world.night()
    return run


def forge(world, statement):
    """Change the audit, as only somebody with the owner's rights and bad intentions could."""
    with world.engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        assert conn.execute(text(statement)).rowcount


def test_a_night_is_reproduced_byte_for_byte_whatever_is_true_by_now(replay, world, night):
    codes = set(world.codes(night).values())
    assert {"CLEARED_IN_SALESFORCE_ONLY", "RESUBSCRIBED", "NO_SALESFORCE_ID"} <= codes
    before = world.everything()
    answer = replay(night)
    assert (answer.status, answer.err) == (0, "")
    count = len(world.decisions(night))
    assert f"{count} decisions reproduced from the extract, byte for byte (SHA-256 " in answer.out
    assert re.search(r"SHA-256 [0-9a-f]{64}\)", answer.out)
    assert replay(night) == answer
    assert world.everything() == before


def test_the_night_before_and_a_plan_are_reproduced_too(replay, world, night):
    plan = world.night(plan_only=True)
    first = world.sql("SELECT min(id) AS id FROM opt_out_sync.sync_run")[0].id
    assert [replay(run).status for run in (first, plan)] == [0, 0]


def test_a_replay_is_reproduced_with_whom_it_was_about(replay, world):
    pair, stranger = world.pair(True, False), world.pair(False, False)
    start, end = utc_now() - timedelta(hours=1), utc_now() + timedelta(hours=1)
    sync_run_id = preflight(
        world.engine,
        world.client(),
        Trigger("backfill__1", (start, end), False, kind="replay"),
        clock=utc_now,
        announce=lambda run_id: None,
    )
    world.org.edit(stranger[1], FirstName="x")
    for step in world.steps(sync_run_id).values():
        step()
    world.unsubscribe(stranger[0])
    assert pair[0] in world.codes(sync_run_id)
    assert replay(sync_run_id).status == 0


def test_the_first_decision_that_is_not_the_same_is_shown(replay, world, night):
    codes = world.codes(night)
    people = sorted(codes)[:2]
    for person in people:
        forge(
            world,
            "UPDATE opt_out_sync.merge_audit SET code = 'AGREED', target_store = NULL "
            f"WHERE sync_run_id = {night} AND person_id = {person}",
        )
    answer = replay(night)
    assert answer.status == 1
    assert f"run {night} is not reproduced: 2 of " in answer.err
    assert answer.err.endswith(f"this is the first, about person {people[0]}\n")
    line = next(line for line in answer.out.splitlines() if line.startswith("code"))
    assert line.split()[1:] == ["AGREED", codes[people[0]]]


@pytest.mark.parametrize("is_added", [False, True])
def test_a_decision_too_many_or_too_few_is_a_difference(replay, world, night, is_added):
    person = max(world.codes(night))
    forge(
        world,
        "INSERT INTO opt_out_sync.merge_audit (decided_at, sync_run_id, org_id, person_id, "
        "record_id, rule, code, reason) SELECT decided_at, sync_run_id, org_id, 99999, record_id, "
        f"rule, code, reason FROM opt_out_sync.merge_audit WHERE sync_run_id = {night} LIMIT 1"
        if is_added
        else f"DELETE FROM opt_out_sync.merge_audit WHERE sync_run_id = {night} AND "
        f"person_id = {person}",
    )
    answer = replay(night)
    assert answer.status == 1
    assert f"about person {99999 if is_added else person}" in answer.err
    assert "(no decision)" in answer.out


def test_another_reading_is_a_difference(replay, world, night):
    """The files count: whoever changes one of them is found out."""
    run = runs.find(world.engine, night)
    world.lose(night, [], SalesforceObject.CONTACT)
    assert replay(night).status == 0
    person = next(p for p, code in world.codes(night).items() if code == "RESUBSCRIBED")
    world.lose(run.id, [world.salesforce_id(person)])
    assert f"about person {person}" in replay(night).err


def test_an_extract_that_retention_has_deleted_is_told_with_its_age(replay, world):
    world.pair(True, False)
    old = world.night(days=-20)
    world.night()
    answer = replay(old)
    assert (answer.status, answer.out) == (1, "")
    assert (
        f"the extract of run {old} is gone: it is kept for 14 days, and this night " in answer.err
    )
    assert "its decisions stay in opt_out_sync.merge_audit" in answer.err


def test_an_extract_that_is_elsewhere_is_told(replay, world, tmp_path, monkeypatch):
    run = world.night()
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", tmp_path.as_uri())
    assert f"run {run} is not where OPT_OUT_SYNC_STAGING says" in replay(run).err


def test_a_run_that_decided_nothing_is_told(replay, say, engine):
    run = open_run(engine)
    assert f"run {run.id} recorded no decisions" in replay(run.id).err
    push = runs.open_run(
        engine, kind="push", airflow_run_id="p", interval=None, plan_only=False, now=utc_now()
    )
    assert f"run {push.id} is a push: only nights" in replay(push.id).err
    assert "run 4711 does not exist" in replay(4711).err


def test_nothing_is_written_by_a_command_that_leaves_the_option_out(say, world):
    answer = say("replay", world.night())
    assert (answer.status, answer.out) == (2, "")
    assert "a past night is run again by a backfill in Airflow" in answer.err
