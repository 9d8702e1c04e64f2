from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from include.audit import attempts, runs, writes
from include.audit.runs import Kind, Run
from include.store.database import transaction
from tests.database import world
from tests.database.world import NOW, ORG, open_run

LATER = NOW + timedelta(minutes=10)
DAY = timedelta(days=1)


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


# What the last night saw opted out


def started(engine: Engine, day: int, kind: Kind = "night", **options: bool) -> Run:
    at = NOW + day * DAY
    values = {"airflow_run_id": f"{kind} {day}", "interval": (at - DAY, at), "now": at}
    run = runs.open_run(engine, kind=kind, plan_only=options.get("plan_only", False), **values)
    return runs.bind_org(engine, run, ORG, now=at)


def saw(engine: Engine, run: Run, day: int, **seen: tuple[int, int]) -> None:
    """The merge of this run counted these records by object; then the run closes."""
    at = NOW + day * DAY
    merge = runs.enter(engine, run.id, "merge", now=at)
    with transaction(engine) as conn:
        runs.finish_step(conn, merge, {"opted_out": seen}, now=at)
        runs.close(conn, run, {}, now=at)


def wrote(engine: Engine, run: Run, day: int, persons: list[int], **columns: Any) -> None:
    values: dict[str, Any] = {"target": False, "outcome": "confirmed"} | columns
    outcome = values.pop("outcome")
    with transaction(engine) as conn:
        frame = world.outcomes(persons, outcome, **values)
        writes.record_outcomes(conn, run, frame, now=NOW + day * DAY)


def test_before_the_first_closed_night_nothing_was_seen(engine: Engine) -> None:
    run = started(engine, 0)
    assert attempts.last_opted_out(engine, run.id) == {}
    saw(engine, run, 0, Contact=(5, 10))
    assert attempts.last_opted_out(engine, run.id) == {}  # only what closed before it


def test_the_last_closed_night_counts_and_no_other_run(engine: Engine) -> None:
    saw(engine, started(engine, 0), 0, Contact=(5, 10))
    saw(engine, started(engine, 1), 1, Contact=(6, 11), Lead=(0, 3))
    saw(engine, started(engine, 2, plan_only=True), 2, Contact=(7, 12))
    saw(engine, started(engine, 3, "held_clears"), 3, Contact=(1, 1))
    failed = started(engine, 4)
    runs.fail(engine, failed.id, "the load failed", now=NOW + 4 * DAY)
    now = started(engine, 5)
    assert attempts.last_opted_out(engine, now.id) == {"Contact": (6, 11), "Lead": (0, 3)}


def test_what_runs_cleared_in_salesforce_since_is_no_drop(engine: Engine) -> None:
    night = started(engine, 0)
    wrote(engine, night, 0, [1, 2])
    wrote(engine, night, 0, [2], field="Sales_Opt_Out__c")  # the same record
    wrote(engine, night, 0, [3], outcome="applied")  # never read back
    wrote(engine, night, 0, [4], target=True)
    wrote(engine, night, 0, [5], side="store")
    saw(engine, night, 0, Contact=(5, 10), Lead=(2, 3))
    held = started(engine, 1, "held_clears")
    wrote(engine, held, 1, [6])
    with transaction(engine) as conn:
        runs.close(conn, held, {}, now=NOW + DAY)
    now = started(engine, 2)
    wrote(engine, now, 2, [7])  # its own are not seen yet
    assert attempts.last_opted_out(engine, now.id) == {"Contact": (2, 10), "Lead": (2, 3)}
