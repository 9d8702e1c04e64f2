from datetime import timedelta

from sqlalchemy import Engine

from include.audit import attempts, runs
from include.store.database import transaction
from tests.database.world import NOW, open_run

LATER = NOW + timedelta(minutes=10)


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
