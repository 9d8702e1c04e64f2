"""Nights, pushes and acts for the tests of the reports."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from include.audit import decisions, runs, settings, writes
from include.audit.runs import Run
from include.store.database import transaction
from tests.database import world
from tests.database.world import ORG, add_act, add_people

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)  # Wednesday, 10:00 in Los Angeles
TONIGHT = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)  # 20:00 on the 25th in Los Angeles
LAST_NIGHT = TONIGHT - DAY
FAILED = {"failure_class": "validation", "code": "FIELD_INTEGRITY_EXCEPTION", "fix": "Mend it."}


def start(engine: Engine, at: datetime, kind: str = "night", name: str = "", **options) -> Run:
    interval = None if kind == "push" else (at - DAY, at)
    run = runs.open_run(
        engine,
        kind=kind,
        airflow_run_id=name or f"{kind}__{at:%Y-%m-%dT%H:%M:%S}",
        interval=interval,
        plan_only=options.get("plan_only", False),
        now=at,
    )
    return runs.bind_org(engine, run, ORG, now=at)


def decide(engine: Engine, run: Run, people, at: datetime, **columns) -> None:
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, world.decisions(people, **columns), now=at)


def outcome(engine: Engine, run: Run, people, outcome: str, at: datetime, **columns) -> None:
    with transaction(engine) as conn:
        writes.record_outcomes(conn, run, world.outcomes(people, outcome, **columns), now=at)


def close(engine: Engine, run: Run, at: datetime, **counts) -> None:
    with transaction(engine) as conn:
        runs.close(conn, run, counts, now=at)


def night(engine: Engine, at: datetime = LAST_NIGHT, people=(), **columns) -> Run:
    """A night that decided something about people, wrote it, and closed after four minutes."""
    run = start(engine, at)
    if people:
        decide(engine, run, people, at + MINUTE, **columns)
        outcome(engine, run, people, "applied", at + 2 * MINUTE)
        outcome(engine, run, people, "confirmed", at + 3 * MINUTE)
    close(engine, run, at + 4 * MINUTE)
    return run


def push(engine: Engine, at: datetime, people) -> Run:
    """A push that ticked a box for each, confirmed at once."""
    run = start(engine, at - SECOND, "push")
    decide(engine, run, people, at - SECOND)
    outcome(engine, run, people, "confirmed", at)
    close(engine, run, at, pushed=len(people))
    return run


def people(engine: Engine, count: int) -> list[int]:
    with transaction(engine) as conn:
        return add_people(conn, count)


def unsubscribe(engine: Engine, person: int, at: datetime, **columns) -> int:
    with transaction(engine) as conn:
        return add_act(conn, person, occurred_at=at, recorded_at=at, **columns)


def choose(engine: Engine, at: datetime = NOW - 40 * DAY, **choices) -> None:
    with transaction(engine) as conn:
        chosen = settings.current(conn).settings.model_dump() | {"enabled": True} | choices
        settings.save(
            conn, settings.Settings.model_validate(chosen), saved_by="Ada", note="test", now=at
        )


def read(engine: Engine, report, *args, **named):
    with transaction(engine) as conn:
        return report(conn, *args, **named)


def execute(engine: Engine, statement: str, **values) -> None:
    with transaction(engine) as conn:
        conn.execute(text(statement), values)


def rows(conn: Connection, statement: str) -> list:
    return list(conn.execute(text(statement)).mappings())
