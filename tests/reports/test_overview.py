"""The first page: nights, pushes and what needs somebody; also with nothing there."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from include.reports.attention import attention
from include.reports.nights import NightState, last_nights, next_night
from include.reports.overview import overview
from include.reports.pushes import push_health
from tests.reports import world
from tests.reports.world import (
    DAY,
    FAILED,
    HOUR,
    LAST_NIGHT,
    MINUTE,
    NOW,
    SECOND,
    TONIGHT,
    choose,
    close,
    decide,
    execute,
    night,
    outcome,
    push,
    read,
    start,
    unsubscribe,
)


def kinds(engine: Engine, now: datetime = NOW) -> dict[str, int | None]:
    return {each.kind: each.count for each in read(engine, attention, now=now)}


# -- nothing yet


def test_a_new_installation_has_a_page(engine: Engine) -> None:
    found = overview(engine, now=NOW)
    assert (found.nights, found.people, found.is_on) == ([], None, False)
    assert found.push.latency.people == 0
    assert found.push.latency.median is None
    assert found.push.oldest is None
    assert [each.kind for each in found.attention] == ["disabled"]
    assert found.next_night == TONIGHT


# -- nights


def test_one_night_is_told_whole(engine: Engine) -> None:
    people = world.people(engine, 3)
    run = night(engine, LAST_NIGHT, people)
    (found,) = read(engine, last_nights, now=NOW)
    assert (found.night, found.state) == (date(2026, 11, 24), NightState.GREEN)
    assert (found.sync_run_id, found.airflow_run_id) == (run.id, run.airflow_run_id)
    assert (found.opt_outs_to_salesforce, found.opt_outs_to_store, found.applied) == (3, 0, 3)
    assert found.codes == {"UNSUBSCRIBED_IN_STORE": 3}
    assert found.seconds == 240


def test_a_night_that_runs_is_counted_as_it_goes(engine: Engine) -> None:
    people = world.people(engine, 2)
    run = start(engine, LAST_NIGHT)
    decide(engine, run, people, LAST_NIGHT)
    (found,) = read(engine, last_nights, now=LAST_NIGHT + MINUTE)
    assert (found.state, found.decisions, found.seconds) == (NightState.OPEN, 2, None)
    decide(engine, run, people, LAST_NIGHT + SECOND, code="BOTH_OPTED_OUT", target_salesforce=None)
    close(engine, run, LAST_NIGHT + MINUTE)
    (found,) = read(engine, last_nights, now=NOW)
    assert found.codes == {"BOTH_OPTED_OUT": 2}  # the newest decision about a link


def test_attempts_of_a_night_are_one_night(engine: Engine) -> None:
    one, two = world.people(engine, 2)
    first = start(engine, LAST_NIGHT, name="same")
    decide(engine, first, [one], LAST_NIGHT)
    second = start(engine, LAST_NIGHT + HOUR, name="same")
    decide(engine, second, [one, two], LAST_NIGHT + HOUR)
    close(engine, second, LAST_NIGHT + HOUR)
    (found,) = read(engine, last_nights, now=NOW)
    assert (found.attempts, found.decisions, found.sync_run_id) == (2, 2, second.id)
    assert found.codes == {"UNSUBSCRIBED_IN_STORE": 2}


def test_a_missed_night_stands_in_its_place(engine: Engine) -> None:
    night(engine, LAST_NIGHT - 3 * DAY)
    night(engine, LAST_NIGHT - DAY)
    found = read(engine, last_nights, now=NOW)
    states = {each.night: (each.state, each.covered_by) for each in found}
    assert states == {
        date(2026, 11, 21): (NightState.GREEN, None),
        date(2026, 11, 22): (NightState.MISSED, date(2026, 11, 23)),
        date(2026, 11, 23): (NightState.GREEN, None),
        date(2026, 11, 24): (NightState.MISSED, None),
    }


def test_tonight_is_not_missed_before_it_had_time_to_begin(engine: Engine) -> None:
    night(engine, LAST_NIGHT)
    assert len(read(engine, last_nights, now=TONIGHT + HOUR)) == 1
    assert len(read(engine, last_nights, now=TONIGHT + 3 * HOUR)) == 2


def test_a_year_of_nights_shows_the_last_thirty(engine: Engine) -> None:
    for ago in range(365):
        night(engine, LAST_NIGHT - ago * DAY)
    found = read(engine, last_nights, now=NOW)
    assert len(found) == 30
    assert [each.night for each in found] == sorted(each.night for each in found)
    assert found[-1].night == date(2026, 11, 24)
    assert len(read(engine, last_nights, now=NOW, most=400)) == 365


@pytest.mark.parametrize(
    ("state", "reason", "shown"),
    [
        ("closed", "3 writes are still open.", NightState.RED),
        ("failed", "no login", NightState.FAILED),
        ("skipped", "the sync is disabled", NightState.SKIPPED),
        ("planned", None, NightState.PLANNED),
    ],
)
def test_a_night_has_a_colour(engine: Engine, state: str, reason: str | None, shown: str) -> None:
    run = night(engine)
    execute(
        engine,
        "UPDATE opt_out_sync.sync_run SET state = :state, reason = :reason WHERE id = :id",
        state=state,
        reason=reason,
        id=run.id,
    )
    (found,) = read(engine, last_nights, now=NOW)
    assert (found.state, found.reason) == (shown, reason)


def test_what_was_pushed_on_a_day_stands_with_its_night(engine: Engine) -> None:
    one, two, three = world.people(engine, 3)
    night(engine, LAST_NIGHT - DAY)
    push(engine, LAST_NIGHT - HOUR, [one, two])
    night(engine, LAST_NIGHT)
    push(engine, LAST_NIGHT + HOUR, [three])  # tonight's
    assert [each.pushed for each in read(engine, last_nights, now=NOW)] == [0, 2]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 2, 3, tzinfo=UTC)),  # summer
        (datetime(2026, 12, 1, 12, tzinfo=UTC), datetime(2026, 12, 2, 4, tzinfo=UTC)),
        (datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 2, 4, tzinfo=UTC)),  # it ends
        (datetime(2026, 12, 2, 4, tzinfo=UTC), datetime(2026, 12, 3, 4, tzinfo=UTC)),  # just begun
    ],
)
def test_the_next_night_is_at_eight_in_california(now: datetime, due: datetime) -> None:
    assert next_night(now) == due


# -- pushes


def test_the_latency_runs_from_the_record_to_the_sight_of_it(engine: Engine) -> None:
    persons = world.people(engine, 4)
    for seconds, person in enumerate(persons, 1):
        unsubscribe(engine, person, NOW - HOUR)
        push(engine, NOW - HOUR + seconds * SECOND, [person])
    latency = read(engine, push_health, now=NOW).latency
    assert (latency.people, latency.median, latency.worst) == (4, 2.5, 4.0)
    assert 3.8 < latency.p95 <= latency.p99 <= 4.0


def test_what_a_night_carried_is_no_push(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, LAST_NIGHT - HOUR)
    night(engine, LAST_NIGHT, [person])
    assert read(engine, push_health, now=NOW).latency.people == 0


def test_the_backlog_is_counted_with_its_age(engine: Engine) -> None:
    now = datetime.now(UTC)
    one, two = world.people(engine, 2)
    unsubscribe(engine, one, now)
    execute(
        engine,
        "INSERT INTO opt_out_sync.push_outbox (person_id, state, version, marked_at, "
        "next_attempt_at, failure_class, code, fix) VALUES (:person, 'parked', 1, :since, :since, "
        "'permission', 'INSUFFICIENT_ACCESS', 'Mend it.')",
        person=two,
        since=now - 30 * HOUR,
    )
    found = read(engine, push_health, now=now)
    assert (found.waiting, found.parked, found.failing) == (2, 1, {"permission": 1})
    assert timedelta(hours=29) < found.oldest < timedelta(hours=31)
    assert kinds(engine, now)["parked"] is None  # as the alert says it
    assert kinds(engine, now)["failures"] == 1


# -- what needs somebody


def test_nothing_needs_anybody_after_a_good_night(engine: Engine) -> None:
    choose(engine)
    people = world.people(engine, 1)
    night(engine, LAST_NIGHT, people)
    execute(
        engine,
        "INSERT INTO opt_out_sync.org_confirmation (org_id, confirmed_at, confirmed_by, note) "
        "VALUES (:org, now(), 'Ada', 'x')",
        org=world.ORG,
    )
    assert kinds(engine) == {}


def test_everything_that_is_wrong_is_listed_the_most_urgent_first(engine: Engine) -> None:
    choose(engine, at=NOW - 40 * DAY)
    people = world.people(engine, 3)
    night(engine, LAST_NIGHT - 4 * DAY)
    run = start(engine, LAST_NIGHT - 2 * DAY)
    decide(engine, run, people[:2], LAST_NIGHT - 2 * DAY)
    outcome(engine, run, people[:1], "failed", LAST_NIGHT - 2 * DAY, **FAILED)
    close(engine, run, LAST_NIGHT - 2 * DAY)
    execute(
        engine,
        "INSERT INTO opt_out_sync.unlinked_person (person_id, code, since, sync_run_id) "
        "VALUES (:person, 'NO_SALESFORCE_ID', :at, :run)",
        person=people[2],
        at=NOW - 2 * DAY,
        run=run.id,
    )
    found = read(engine, attention, now=NOW)
    assert [each.urgency for each in found] == sorted(
        (each.urgency for each in found), key=["now", "soon", "note"].index
    )
    assert {"absence", "unconfirmed", "failures", "unreachable"} <= {each.kind for each in found}
    assert all(each.sentence.endswith(".") for each in found)


def test_a_red_night_leads_to_its_run_in_airflow(engine: Engine) -> None:
    choose(engine)
    run = night(engine)
    execute(engine, "UPDATE opt_out_sync.sync_run SET reason = 'Look.' WHERE id = :id", id=run.id)
    (found,) = [each for each in read(engine, attention, now=NOW) if each.kind == "red"]
    assert found.airflow_run_id == run.airflow_run_id


def test_a_paused_sync_and_a_pause_of_pushes_are_told(engine: Engine) -> None:
    choose(engine, at=NOW - HOUR, paused=True)
    execute(
        engine,
        "INSERT INTO opt_out_sync.push_pause (since, until, failures, code, reason) "
        "VALUES (:since, :until, 3, 'UNAVAILABLE', 'Salesforce does not answer.')",
        since=NOW - HOUR,
        until=NOW + MINUTE,
    )
    assert {"paused", "push_paused"} <= {*kinds(engine)}
    assert "push_paused" not in kinds(engine, NOW + HOUR)
