from datetime import timedelta

from sqlalchemy import Engine

from include.audit import attempts, runs
from include.store.database import transaction
from tests.database.world import INTERVAL, NOW, open_run

LATER = NOW + timedelta(minutes=10)


def test_the_newest_attempt_is_found_in_whatever_state(engine: Engine) -> None:
    assert attempts.latest(engine, "one") is None
    first = open_run(engine)
    runs.fail(engine, first.id, "the load failed", now=NOW)
    failed = attempts.latest(engine, "one")
    assert failed is not None
    assert (failed.id, failed.state, failed.reason) == (first.id, "failed", "the load failed")
    second = open_run(engine, now=LATER)
    assert attempts.latest(engine, "one") == runs.find(engine, second.id)
    skipped = runs.skip_night(
        engine, airflow_run_id="one", interval=INTERVAL, reason="paused", now=LATER
    )
    assert attempts.latest(engine, "one") == runs.find(engine, skipped)
    open_run(engine, "two", LATER)
    assert attempts.latest(engine, "one") == runs.find(engine, skipped)


def test_a_step_has_counts_once_it_has_finished(engine: Engine) -> None:
    run = open_run(engine)
    assert attempts.step_counts(engine, run.id, "preflight") is None
    assert attempts.step_counts(engine, run.id, "merge") is None
    with transaction(engine) as conn:
        runs.finish_step(conn, run, {"access": {"Contact": True}}, now=NOW)
    assert attempts.step_counts(engine, run.id, "preflight") == {"access": {"Contact": True}}


def test_steps_that_started_and_did_not_finish_are_named_in_order(engine: Engine) -> None:
    run = open_run(engine)
    merge = runs.enter(engine, run.id, "merge", now=LATER)
    assert attempts.unfinished_steps(engine, run.id) == ["preflight", "merge"]
    with transaction(engine) as conn:
        runs.finish_step(conn, run, {}, now=LATER)
        runs.finish_step(conn, merge, {}, now=LATER)
    assert attempts.unfinished_steps(engine, run.id) == []
