"""What was true of a person at a moment, with the rows that say so; nights that were missed."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from include.audit.past import opt_out_at
from include.store.database import transaction
from tests.database.world import (
    NOW,
    add_act,
    add_clear,
    add_people,
    add_resubscribe,
    standing,
)

HOUR = timedelta(hours=1)
MOMENTS = [NOW + hours * HOUR for hours in range(-3, 8)]


def in_store(conn, person, moment):
    """Whether the store said opted out, and the ids of the acts that say so."""
    facts = [fact for fact in opt_out_at(conn, person, moment) if fact.side == "store"]
    return {fact.is_opted_out for fact in facts}, {fact.source_id for fact in facts}


def test_the_store_is_told_as_it_was_known_then(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person, occurred_at=NOW, recorded_at=NOW + HOUR)
        consent = add_resubscribe(
            conn, person, occurred_at=NOW + 2 * HOUR, recorded_at=NOW + 2 * HOUR
        )
        clear = add_clear(conn, person, consent, recorded_at=NOW + 4 * HOUR)
        again = add_act(conn, person, occurred_at=NOW + 5 * HOUR, recorded_at=NOW + 5 * HOUR)
        assert in_store(conn, person, NOW) == ({False}, {None})  # nobody had recorded it
        assert in_store(conn, person, NOW + HOUR) == ({True}, {act})
        assert in_store(conn, person, NOW + 3 * HOUR) == ({True}, {act})  # not accepted yet
        assert in_store(conn, person, NOW + 4 * HOUR) == ({False}, {clear})
        assert in_store(conn, person, NOW + 5 * HOUR) == ({True}, {again})


def test_today_it_says_what_the_list_says(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two, three = add_people(conn, 3)
        add_act(conn, one, occurred_at=NOW)
        consent = add_resubscribe(conn, one, occurred_at=NOW + HOUR, recorded_at=NOW + HOUR)
        add_clear(conn, one, consent, recorded_at=NOW + HOUR)
        add_act(conn, one, scope="sender", occurred_at=NOW + 2 * HOUR, recorded_at=NOW + 2 * HOUR)
        add_act(conn, two, origin="Complaint")
        add_act(conn, three, origin="Salesforce Sync", caused_by=f"act:{consent}")
        late = NOW + 9 * HOUR
        found = [
            act
            for person in (one, two, three)
            for act in in_store(conn, person, late)[1]
            if in_store(conn, person, late)[0] == {True}
        ]
        assert sorted(found) == standing(conn)


def test_nobody_is_known_of_whom_nothing_is(engine: Engine) -> None:
    with transaction(engine) as conn:
        assert opt_out_at(conn, 4711, NOW) == []


@pytest.fixture
def audited(engine: Engine):
    """One link: read cleared, ticked by us, read ticked, with its times."""
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        insert = (
            "INSERT INTO opt_out_sync.merge_audit (decided_at, sync_run_id, org_id, person_id, "
            "record_id, object, field, salesforce_is_opted_out, salesforce_opted_out_before, rule, "
            "code, reason) VALUES (:at, :run, 'ORG', :person, '003000000000001AAA', 'Contact', "
            "'HasOptedOutOfEmail', :value, :before, 'opt_out_wins', :code, 'x')"
        )
        rows = [
            (NOW, 1, False, None, "UNSUBSCRIBED_IN_STORE"),
            (NOW + 6 * HOUR, 2, True, NOW + 5 * HOUR, "OPTED_OUT_IN_SALESFORCE"),
        ]
        for at, run, value, before, code in rows:
            values = {"at": at, "run": run, "value": value, "before": before, "code": code}
            conn.execute(text(insert), values | {"person": person})
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.write_attempt (attempted_at, sync_run_id, org_id, "
                "person_id, record_id, object, field, side, target, outcome) VALUES (:at, 1, "
                "'ORG', :person, '003000000000001AAA', 'Contact', 'HasOptedOutOfEmail', "
                "'salesforce', false, 'confirmed')"
            ),
            {"at": NOW + 2 * HOUR, "person": person},
        )
    return person


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (-1, None),  # before the first run
        (0, (False, "opt_out_sync.merge_audit")),
        (3, (False, "opt_out_sync.write_attempt")),
        (5, (True, "opt_out_sync.merge_audit")),  # read at 6, known to be ticked by 5
        (7, (True, "opt_out_sync.merge_audit")),
    ],
)
def test_salesforce_is_told_by_what_was_read_and_written(
    engine: Engine, audited: int, hours: int, told: object
) -> None:
    with transaction(engine) as conn:
        facts = opt_out_at(conn, audited, NOW + hours * HOUR)
    boxes = [(fact.is_opted_out, fact.source) for fact in facts if fact.side == "salesforce"]
    assert boxes == ([] if told is None else [told])


def night(conn, day, state="closed", kind="night"):
    conn.execute(
        text(
            "INSERT INTO opt_out_sync.sync_run (kind, state, night, airflow_run_id, attempt, "
            "settings_version, started_at, lease_expires_at, closed_at) "
            "VALUES (:kind, :state, current_date - CAST(:day AS integer), :day, 1, 1, now(), "
            "now(), now())"
        ),
        {"day": str(day), "state": state, "kind": kind},
    )


def test_missed_nights_are_listed_with_the_night_that_covered_them(engine: Engine) -> None:
    with transaction(engine) as conn:
        for day in (9, 8, 5):
            night(conn, day)
        night(conn, 7, state="failed")
        night(conn, 3, kind="replay")  # covers only what its interval is about
        query = (
            "SELECT current_date - night AS day, current_date - covered_by AS by "
            "FROM opt_out_sync.v_missed_night"
        )
        missed = {row.day: row.by for row in conn.execute(text(query))}
    assert {day: by for day, by in missed.items() if day > 2} == {7: 5, 6: 5, 4: None, 3: None}
