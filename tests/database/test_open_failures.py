"""What is not done yet, how old it is, and by when it has to be done."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from include.audit import decisions, pauses, runs, writes
from include.audit.runs import Run
from include.store.database import transaction
from tests.database import world
from tests.database.world import INTERVAL, ORG, add_act, add_people

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
FAILED = {"failure_class": "validation", "code": "FIELD_INTEGRITY_EXCEPTION", "fix": "Mend it."}
CALIFORNIA = ZoneInfo("America/Los_Angeles")


def start(engine: Engine, kind, now: datetime, name: str = "one") -> Run:
    interval = None if kind == "push" else INTERVAL
    run = runs.open_run(
        engine, kind=kind, airflow_run_id=name, interval=interval, plan_only=False, now=now
    )
    return runs.bind_org(engine, run, ORG, now=now)


def fail(engine: Engine, run: Run, person: int, now: datetime, **decided: object) -> None:
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, world.decisions([person], **decided), now=now)
        failure = world.outcomes([person], "failed", **FAILED)
        writes.record_outcomes(conn, run, failure, now=now)


def close(engine: Engine, run: Run, now: datetime) -> None:
    with transaction(engine) as conn:
        runs.close(conn, run, {}, now=now)


def failures(engine: Engine):
    with transaction(engine) as conn:
        return conn.execute(text("SELECT * FROM opt_out_sync.v_open_failures")).all()


def people(engine: Engine, count: int) -> list[int]:
    """People whom nothing has marked."""
    with transaction(engine) as conn:
        return add_people(conn, count)


# -- ages


@pytest.mark.parametrize(
    ("age", "is_past_48_hours", "is_past_10_business_days"),
    [
        (HOUR, False, False),
        (47 * HOUR, False, False),
        (49 * HOUR, True, False),
        (16 * DAY, True, True),
    ],
)
def test_a_failure_is_as_old_as_the_opt_out_that_it_keeps_away(
    engine: Engine, age: timedelta, is_past_48_hours: bool, is_past_10_business_days: bool
) -> None:
    now = datetime.now(UTC)
    (person,) = people(engine, 1)
    fail(engine, start(engine, "push", now), person, now, store_opted_out_at=now - age)
    (row,) = failures(engine)
    assert row.opted_out_at == now - age
    assert age <= row.age < age + 60 * SECOND
    assert row.is_past_48_hours is is_past_48_hours
    assert row.is_past_10_business_days is is_past_10_business_days
    assert row.failing_for < 60 * SECOND


def test_a_failure_whose_opt_out_has_no_date_is_as_old_as_its_first_attempt(
    engine: Engine,
) -> None:
    now = datetime.now(UTC)
    run = start(engine, "push", now)
    fail(engine, run, 1, now - 3 * HOUR)
    with transaction(engine) as conn:
        again = world.outcomes([1], "failed", **FAILED)
        writes.record_outcomes(conn, run, again, now=now)
    (row,) = failures(engine)
    assert row.opted_out_at == now - 3 * HOUR


def test_the_oldest_comes_first(engine: Engine) -> None:
    now = datetime.now(UTC)
    run = start(engine, "push", now)
    for person, days in [(1, 2), (2, 5), (3, 1)]:
        fail(engine, run, person, now, store_opted_out_at=now - days * DAY)
    assert [row.person_id for row in failures(engine)] == [2, 1, 3]


@pytest.mark.parametrize(
    ("opted_out", "due"),
    [
        ("2026-11-02T09:00", "2026-11-17"),  # a Monday: two weeks later, at the end of the day
        ("2026-11-06T23:59", "2026-11-21"),  # a Friday: to the end of a Friday
        ("2026-11-07T00:00", "2026-11-21"),  # a Saturday counts from Monday
        ("2026-11-08T12:00", "2026-11-21"),  # so does a Sunday
        ("2026-10-30T12:00", "2026-11-14"),  # across the end of summer time
    ],
)
def test_ten_business_days_are_mondays_to_fridays_in_california(
    engine: Engine, opted_out: str, due: str
) -> None:
    at = datetime.fromisoformat(opted_out).replace(tzinfo=CALIFORNIA)
    with transaction(engine) as conn:
        statement = text("SELECT opt_out_sync.business_days_after(:at, 10)")
        found = conn.execute(statement, {"at": at}).scalar_one()
    assert found == datetime.fromisoformat(due).replace(tzinfo=CALIFORNIA)


# -- failures of pushes


def test_what_a_push_failed_to_do_before_the_night_is_answered_by_the_night(
    engine: Engine,
) -> None:
    now = datetime.now(UTC)
    push = start(engine, "push", now - 3 * HOUR)
    fail(engine, push, 1, now - 3 * HOUR)
    close(engine, push, now - 2 * HOUR)
    close(engine, start(engine, "night", now - HOUR), now)
    assert failures(engine) == []


def test_a_push_that_began_before_the_night_and_failed_after_it_counts(engine: Engine) -> None:
    now = datetime.now(UTC)
    push = start(engine, "push", now - 2 * HOUR)
    close(engine, start(engine, "night", now - HOUR), now - HOUR)
    fail(engine, push, 1, now)
    assert [row.person_id for row in failures(engine)] == [1]
    close(engine, push, now)
    assert [row.person_id for row in failures(engine)] == [1]


# -- people whom no push could look at


def test_who_has_waited_for_an_hour_although_nothing_is_wrong_is_told(engine: Engine) -> None:
    one, two = people(engine, 2)
    with transaction(engine) as conn:
        add_act(conn, one)
        add_act(conn, two)
        query = "UPDATE opt_out_sync.push_signal SET signalled_at = now() - interval '61 minutes'"
        conn.execute(text(f"{query} WHERE person_id = :person"), {"person": one})
    (row,) = failures(engine)
    assert (row.person_id, row.code, row.record_id) == (one, "NOT_PUSHED", None)
    assert "unsubscribe_push" in row.fix


def test_everybody_who_waits_while_pushes_pause_is_told_with_the_reason(engine: Engine) -> None:
    now = datetime.now(UTC)
    (person,) = people(engine, 1)
    with transaction(engine) as conn:
        add_act(conn, person)
        reason = "It is down."
        pauses.begin(conn, until=now + HOUR, code="SALESFORCE_DOWN", reason=reason, now=now)
    (row,) = failures(engine)
    assert (row.code, row.fix) == ("SALESFORCE_DOWN", "It is down.")
    assert row.next_attempt_at == now + HOUR


def test_nobody_is_told_twice(engine: Engine) -> None:
    now = datetime.now(UTC)
    (person,) = people(engine, 1)
    with transaction(engine) as conn:
        add_act(conn, person)
        conn.execute(text("UPDATE opt_out_sync.push_signal SET signalled_at = '2026-01-01'"))
    fail(engine, start(engine, "push", now), person, now)
    (row,) = failures(engine)
    assert (row.person_id, row.code) == (person, FAILED["code"])
