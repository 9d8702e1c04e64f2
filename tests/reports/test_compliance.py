"""Was every unsubscribe honoured in time? By act and field, the worst first."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from include.reports.compliance import (
    COLUMNS,
    Period,
    Standing,
    as_row,
    carried,
    stream,
    summary,
)
from tests.database.world import BOX, FIELD, add_clear, add_resubscribe, record
from tests.reports import world
from tests.reports.world import (
    DAY,
    FAILED,
    HOUR,
    MINUTE,
    NOW,
    ORG,
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

PERIOD = Period(NOW - 60 * DAY, NOW + DAY)


def listed(engine: Engine, now: datetime = NOW, **options):
    return read(engine, carried, PERIOD, now=now, **options)


def the_only(engine: Engine, now: datetime = NOW):
    (row,) = listed(engine, now)
    return row


def link(engine: Engine, person: int, **columns) -> None:
    values = {
        "org_id": ORG,
        "person_id": person,
        "record_id": record(person),
        "object": "Contact",
        "field": FIELD,
        "first_seen_at": NOW - 90 * DAY,
    } | columns
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    execute(engine, f"INSERT INTO opt_out_sync.link ({names}) VALUES ({marks})", **values)


# -- what stands where


def test_a_push_in_seconds_is_in_time_and_every_moment_is_told(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    act = unsubscribe(engine, person, NOW - HOUR)
    run = start(engine, NOW - HOUR, "push")
    decide(engine, run, [person], NOW - HOUR)
    outcome(engine, run, [person], "applied", NOW - HOUR + MINUTE)
    outcome(engine, run, [person], "confirmed", NOW - HOUR + 2 * MINUTE)
    link(engine, person, base=True, base_since=NOW, base_run_id=run.id)
    row = the_only(engine)
    assert (row.act_id, row.person_id, row.direction) == (act, person, "to_salesforce")
    assert (row.object, row.record_id, row.field) == ("Contact", record(person), FIELD)
    assert row.captured_at == NOW - HOUR
    assert row.pushed_at == NOW - HOUR + MINUTE
    assert row.verified_at == NOW - HOUR + 2 * MINUTE
    assert (row.standing, row.business_days) == (Standing.IN_TIME, 0)
    assert row.hours == pytest.approx(2 / 60)
    assert row.due_48_hours == NOW + 47 * HOUR
    assert row.due_10_days == datetime(2026, 12, 11, 8, tzinfo=UTC)  # Thanksgiving lies between


@pytest.mark.parametrize(
    ("age", "standing"),
    [
        (HOUR, Standing.PENDING),
        (47 * HOUR, Standing.PENDING),
        (49 * HOUR, Standing.AT_RISK),
        (13 * DAY, Standing.AT_RISK),
        (20 * DAY, Standing.BREACHED),
    ],
)
def test_what_is_not_there_is_as_bad_as_it_is_old(
    engine: Engine, age: timedelta, standing: Standing
) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person)
    unsubscribe(engine, person, NOW - age)
    row = the_only(engine)
    assert (row.standing, row.verified_at) == (standing, None)
    assert row.hours == pytest.approx(age.total_seconds() / 3600)


@pytest.mark.parametrize(
    ("after", "standing"),
    [(HOUR, Standing.IN_TIME), (3 * DAY, Standing.SLOW), (20 * DAY, Standing.LATE)],
)
def test_what_came_late_stays_late(engine: Engine, after: timedelta, standing: Standing) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - 30 * DAY)
    push(engine, NOW - 30 * DAY + after, [person])
    link(engine, person)
    assert the_only(engine).standing == standing


def test_a_box_that_was_ticked_already_counts_from_the_start(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person, base=True, base_since=NOW - 50 * DAY, base_run_id=1)
    unsubscribe(engine, person, NOW - 20 * DAY)
    row = the_only(engine)
    assert (row.verified_at, row.pushed_at, row.hours) == (NOW - 20 * DAY, None, 0)
    assert row.standing == Standing.IN_TIME


def test_a_box_that_somebody_else_ticked_counts_once_it_was_seen(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - 2 * DAY)
    link(engine, person)
    run = start(engine, NOW - DAY)
    decide(
        engine,
        run,
        [person],
        NOW - DAY,
        code="BOTH_OPTED_OUT",
        salesforce_is_opted_out=True,
        target_salesforce=None,
    )
    close(engine, run, NOW - DAY)
    assert the_only(engine).verified_at == NOW - DAY


def test_each_field_has_a_row(engine: Engine) -> None:
    choose(engine, field_mode="both", sales_opt_out_field="Sales__c")
    (person,) = world.people(engine, 1)
    link(engine, person)
    link(engine, person, field="Sales__c")
    unsubscribe(engine, person, NOW - 20 * DAY)
    push(engine, NOW - 20 * DAY + MINUTE, [person])
    found = {row.field: row.standing for row in listed(engine)}
    assert found == {FIELD: Standing.IN_TIME, "Sales__c": Standing.BREACHED}
    assert read(engine, summary, PERIOD, now=NOW).unsubscribes == 1


def test_a_field_of_an_earlier_mode_counts_where_it_was_confirmed(engine: Engine) -> None:
    one, two = world.people(engine, 2)
    for person in (one, two):
        link(engine, person)
        link(engine, person, field="Sales__c")
        unsubscribe(engine, person, NOW - HOUR)
    push(engine, NOW - HOUR + MINUTE, [one])
    choose(engine, field_mode="sales_opt_out", sales_opt_out_field="Sales__c")
    found = {(row.person_id, row.field) for row in listed(engine)}
    assert found == {(one, FIELD), (one, "Sales__c"), (two, "Sales__c")}


def test_who_has_no_record_is_unreachable_with_the_reason(engine: Engine) -> None:
    one, two = world.people(engine, 2)
    execute(engine, "UPDATE engagement.person SET salesforce_id = ' ' WHERE id = :id", id=one)
    execute(
        engine,
        "INSERT INTO opt_out_sync.unlinked_person (person_id, code, since, sync_run_id) "
        "VALUES (:id, 'BAD_SALESFORCE_ID', :at, 1)",
        id=two,
        at=NOW,
    )
    for person in (one, two):
        unsubscribe(engine, person, NOW - 30 * DAY)
    found = {row.person_id: (row.standing, row.reason, bool(row.fix)) for row in listed(engine)}
    assert found == {
        one: (Standing.UNREACHABLE, "NO_SALESFORCE_ID", True),
        two: (Standing.UNREACHABLE, "BAD_SALESFORCE_ID", True),
    }


def test_what_is_in_the_way_is_told_with_its_fix(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person)
    unsubscribe(engine, person, NOW - 3 * DAY)
    execute(
        engine,
        "INSERT INTO opt_out_sync.push_outbox (person_id, state, version, marked_at, "
        "next_attempt_at, failure_class, code, fix) "
        "VALUES (:id, 'parked', 1, :at, :at, 'validation', :code, :fix)",
        id=person,
        at=NOW,
        code=FAILED["code"],
        fix=FAILED["fix"],
    )
    row = the_only(engine)
    assert (row.standing, row.reason, row.fix) == (
        Standing.AT_RISK,
        FAILED["code"],
        FAILED["fix"],
    )


def test_what_consent_ended_before_it_arrived_is_no_breach(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person)
    unsubscribe(engine, person, NOW - 30 * DAY)
    with engine.begin() as conn:
        at = NOW - 29 * DAY
        consent = add_resubscribe(conn, person, occurred_at=at, recorded_at=at)
        add_clear(conn, person, consent, occurred_at=at, recorded_at=at)
    assert the_only(engine).standing == Standing.ENDED


@pytest.mark.parametrize("columns", [{"scope": "sender"}, {"origin": "Bounce"}])
def test_what_the_settings_leave_out_is_listed_and_no_breach(
    engine: Engine, columns: dict[str, str]
) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person)
    unsubscribe(engine, person, NOW - 30 * DAY, **columns)
    assert the_only(engine).standing == Standing.NOT_SYNCED
    choose(engine, synced_scopes=("team", "sender"), bounces_sync=True)
    assert the_only(engine).standing == Standing.BREACHED


# -- from Salesforce to the store


def test_a_box_ticked_in_salesforce_counts_until_the_store_knew_it(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person)
    ticked = NOW - 10 * HOUR
    unsubscribe(
        engine,
        person,
        NOW - HOUR,
        origin="Salesforce Sync",
        caused_by=f"{BOX}@{ticked:%Y-%m-%dT%H:%M:%SZ}",
    )
    row = the_only(engine)
    assert (row.direction, row.record_id, row.field) == ("to_store", record(1), FIELD)
    assert (row.captured_at, row.verified_at) == (ticked, NOW - HOUR)
    assert (row.hours, row.standing) == (9, Standing.IN_TIME)


def test_a_box_that_was_ticked_before_the_sync_knew_the_record_is_not_late(
    engine: Engine,
) -> None:
    (person,) = world.people(engine, 1)
    link(engine, person, first_seen_at=NOW - 2 * HOUR)
    cause = f"{BOX}@2020-01-01T00:00:00Z"
    unsubscribe(engine, person, NOW - HOUR, origin="Salesforce Sync", caused_by=cause)
    row = the_only(engine)
    assert (row.captured_at, row.standing) == (NOW - 2 * HOUR, Standing.IN_TIME)


def test_an_opt_out_of_somebody_on_the_same_record_is_theirs(engine: Engine) -> None:
    one, two = world.people(engine, 2)
    act = unsubscribe(engine, one, NOW - HOUR)
    unsubscribe(engine, two, NOW, origin="Salesforce Sync", caused_by=f"act:{act}")
    assert [row.act_id for row in listed(engine)] == [act]


# -- the whole


@pytest.fixture
def mixed(engine: Engine) -> Engine:
    """Breached, at risk, in time and pending, recorded in another order than that."""
    people = world.people(engine, 4)
    for person in people:
        link(engine, person)
    for person, age in zip(people, (HOUR, 20 * DAY, 3 * DAY, 5 * DAY), strict=True):
        unsubscribe(engine, person, NOW - age)
    push(engine, NOW - 5 * DAY + MINUTE, [people[3]])
    return engine


def test_the_worst_come_first_and_the_oldest_of_them(mixed: Engine) -> None:
    expected = [Standing.BREACHED, Standing.AT_RISK, Standing.PENDING, Standing.IN_TIME]
    assert [row.standing for row in listed(mixed)] == expected
    assert [row.standing for row in listed(mixed, skip=1, most=2)] == expected[1:3]
    assert [row.standing for row in listed(mixed, standings=[Standing.AT_RISK])] == expected[1:2]
    with mixed.begin() as conn:
        assert [row.standing for row in stream(conn, PERIOD, now=NOW)] == expected


def test_a_period_is_counted(mixed: Engine) -> None:
    found = read(mixed, summary, PERIOD, now=NOW)
    assert (found.unsubscribes, found.rows, found.erased) == (4, 4, 0)
    assert found.standings[Standing.BREACHED] == 1
    assert found.standings[Standing.LATE] == 0
    assert list(found.standings) == list(Standing)
    assert found.worst_hours == pytest.approx(1 / 60)
    assert date(2026, 11, 11) in found.holidays


def test_a_period_begins_and_ends_when_it_says(mixed: Engine) -> None:
    period = Period(NOW - 5 * DAY, NOW - 3 * DAY)
    assert read(mixed, summary, period, now=NOW).rows == 1


def test_a_period_without_anything_is_no_error(engine: Engine) -> None:
    found = read(engine, summary, PERIOD, now=NOW)
    assert (found.rows, found.median_hours, sum(found.standings.values())) == (0, None, 0)
    assert listed(engine) == []


def test_who_was_erased_is_counted(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - DAY)
    execute(engine, "SELECT engagement.erase_person(:id, 'Ada', 'asked', :at)", id=person, at=NOW)
    found = read(engine, summary, PERIOD, now=NOW)
    assert (found.rows, found.erased) == (0, 1)


def test_a_file_has_every_column(mixed: Engine) -> None:
    rows = [as_row(row) for row in listed(mixed)]
    assert {*rows[0]} == {column.name for column in COLUMNS}


def test_an_analyst_may_read_it(mixed: Engine, login) -> None:
    night(mixed)
    analyst = login("opt_out_analyst")
    assert len(read(analyst, carried, PERIOD, now=NOW)) == 4
    assert read(analyst, summary, PERIOD, now=NOW).rows == 4
