"""The outbox: who is marked, by what; who claims them; and what becomes of it."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pandas as pd
import psycopg2
import pytest
from sqlalchemy import Connection, Engine, text

from include.audit import outbox, pauses, runs, settings, waiting
from include.audit.runs import Run, StaleAttemptError
from include.store import acts
from include.store.database import libpq_uri, transaction
from tests.database.world import (
    BOX,
    NOW,
    ORG,
    add_act,
    add_clear,
    add_people,
    add_resubscribe,
    record,
)

SECOND = timedelta(seconds=1)


def signals(engine: Engine) -> list[int]:
    """Persons marked and not folded yet, in the order in which they were."""
    with transaction(engine) as conn:
        query = "SELECT person_id FROM opt_out_sync.push_signal ORDER BY id"
        return list(conn.execute(text(query)).scalars())


def forget_signals(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.execute(text("DELETE FROM opt_out_sync.push_signal"))


def people(engine: Engine, count: int) -> list[int]:
    with transaction(engine) as conn:
        return add_people(conn, count)


def open_push(engine: Engine, name: str = "push", now=NOW) -> Run:
    run = runs.open_run(
        engine, kind="push", airflow_run_id=name, interval=None, plan_only=False, now=now
    )
    return runs.bind_org(engine, run, ORG, now=now)


def mark(engine: Engine, *persons: int) -> None:
    with transaction(engine) as conn:
        for person in persons:
            add_act(conn, person)


def claimed(engine: Engine, run: Run, most: int = 100, now=NOW) -> dict[int, int]:
    """Claim, in a transaction; version by person."""
    with transaction(engine) as conn:
        rows = outbox.claim(conn, run, most=most, now=now)
    return dict(zip(rows["person_id"], rows["version"], strict=True))


def settle(engine: Engine, run: Run, versions: dict[int, int], now=NOW, **columns) -> int:
    values = {"state": "closed", "next_attempt_at": now} | columns
    frame = pd.DataFrame({"person_id": versions.keys(), "version": versions.values()})
    with transaction(engine) as conn:
        return outbox.settle(conn, run, frame.assign(**values), now=now)


def row(engine: Engine, person: int):
    with transaction(engine) as conn:
        query = "SELECT * FROM opt_out_sync.push_outbox WHERE person_id = :p"
        return conn.execute(text(query), {"p": person}).one_or_none()


@contextmanager
def listening(engine: Engine) -> Iterator[psycopg2.extensions.connection]:
    connection = psycopg2.connect(libpq_uri(engine))
    connection.autocommit = True
    connection.cursor().execute(f"LISTEN {waiting.CHANNEL}")
    try:
        yield connection
    finally:
        connection.close()


def heard(connection: psycopg2.extensions.connection) -> int:
    """How many notifications have come."""
    time.sleep(0.1)
    connection.poll()
    count = len(connection.notifies)
    connection.notifies.clear()
    return count


# -- who is marked


@pytest.mark.parametrize("origin", ["Clicked Link", "One-Click", "Manual", "Complaint", "Import"])
def test_an_act_marks_its_person_in_its_own_transaction(engine, origin):
    (person,) = people(engine, 1)
    with transaction(engine) as conn:
        add_act(conn, person, origin=origin)
        assert signals(engine) == []  # not before it is committed
    assert signals(engine) == [person]


def test_an_act_that_is_rolled_back_marks_nobody(engine):
    (person,) = people(engine, 1)
    with transaction(engine) as conn:
        add_act(conn, person)
        conn.rollback()
    assert signals(engine) == []


def test_consents_bounces_and_acts_of_one_sender_mark_too(engine):
    one, two, three = people(engine, 3)
    with transaction(engine) as conn:
        add_resubscribe(conn, one)
        add_act(conn, two, origin="Bounce")
        add_act(conn, three, scope="sender")
    assert signals(engine) == [one, two, three]


def test_what_the_sync_adds_marks_nobody(engine):
    (person,) = people(engine, 1)
    with transaction(engine) as conn:
        add_act(conn, person, origin="Salesforce Sync", caused_by=f"{BOX}@2026-11-22T00:00:00Z")
        add_clear(conn, person, BOX)
    assert signals(engine) == []


def test_any_program_that_inserts_acts_is_covered(engine):
    persons = people(engine, 3)
    key = ["a", "b", "c"]
    with transaction(engine) as conn, conn.connection.cursor() as cursor:
        lines = "".join(
            f"{person}\tunsubscribe\tteam\tImport\t{NOW.isoformat()}\t{name}\n"
            for person, name in zip(persons, key, strict=True)
        )
        cursor.copy_expert(
            "COPY engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, "
            "idempotency_key) FROM STDIN",
            io.StringIO(lines),
        )
    assert sorted(signals(engine)) == persons


def test_the_push_is_woken_once_per_statement_and_not_by_the_sync(engine):
    persons = people(engine, 3)
    insert = (
        "INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, caused_by, "
        "occurred_at, idempotency_key) SELECT id, 'unsubscribe', 'team', :origin, :cause, now(), "
        "id || :origin FROM unnest(CAST(:ids AS bigint[])) AS id"
    )
    with listening(engine) as connection:
        with transaction(engine) as conn:
            conn.execute(text(insert), {"ids": persons, "origin": "Import", "cause": None})
        assert heard(connection) == 1
        values = {"ids": persons, "origin": "Salesforce Sync", "cause": BOX}
        with transaction(engine) as conn:
            conn.execute(text(insert), values)
        assert heard(connection) == 0


def test_who_may_only_record_acts_needs_no_right_on_the_outbox(engine):
    (person,) = people(engine, 1)
    with transaction(engine) as conn:
        conn.execute(text("GRANT USAGE ON SCHEMA engagement TO opt_out_analyst"))
        conn.execute(text("GRANT INSERT ON engagement.unsubscribe TO opt_out_analyst"))
        conn.execute(text("SET LOCAL ROLE opt_out_analyst"))
        conn.execute(
            text(
                "INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, "
                "idempotency_key) VALUES (:p, 'unsubscribe', 'team', 'Manual', now(), 'k')"
            ),
            {"p": person},
        )
    assert signals(engine) == [person]


def set_id(conn: Connection, person: int, salesforce_id: str | None) -> None:
    update = "UPDATE engagement.person SET salesforce_id = :s, updated_at = now() WHERE id = :p"
    conn.execute(text(update), {"p": person, "s": salesforce_id})


def test_a_person_who_gets_an_id_is_marked_if_they_ever_opted_out(engine):
    opted_out, never = people(engine, 2)
    mark(engine, opted_out)
    with transaction(engine) as conn:
        set_id(conn, opted_out, None)
        set_id(conn, never, None)
    forget_signals(engine)
    with transaction(engine) as conn:
        set_id(conn, opted_out, record(7))
        set_id(conn, never, record(8))
        set_id(conn, opted_out, record(7))  # the same again is no news
    assert signals(engine) == [opted_out]


def test_an_id_that_the_sync_corrects_marks_nobody(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    forget_signals(engine)
    moves = pd.DataFrame(
        {"person_id": [person], "from_record_id": [record(1)], "to_record_id": [record(3)]}
    )
    with transaction(engine) as conn:
        assert acts.relink_people(conn, moves)["is_relinked"].all()
    assert signals(engine) == []
    with transaction(engine) as conn:  # and the mark of the sync ends with its function
        set_id(conn, person, record(9))
    assert signals(engine) == [person]


def test_two_programs_that_record_acts_for_the_same_people_never_wait_for_each_other(engine):
    one, two = people(engine, 2)
    with transaction(engine) as first, transaction(engine) as second:
        second.execute(text("SET LOCAL lock_timeout = '2s'"))
        add_act(first, one)
        add_act(second, two)
        add_act(first, two)
        add_act(second, one)  # with one row per person this would be a deadlock
    assert sorted(signals(engine)) == [one, one, two, two]


# -- claims


def test_one_person_is_one_row_however_often_they_changed(engine):
    (person,) = people(engine, 1)
    mark(engine, person, person)
    run = open_push(engine)
    assert claimed(engine, run) == {person: 1}
    assert signals(engine) == []
    assert claimed(engine, run) == {}


def test_a_claim_takes_so_many_and_leaves_the_rest(engine):
    persons = people(engine, 5)
    mark(engine, *persons)
    run = open_push(engine)
    assert list(claimed(engine, run, most=2)) == persons[:2]
    assert list(claimed(engine, run, most=10)) == persons[2:]


def test_two_runs_never_claim_the_same_person(engine):
    persons = people(engine, 40)
    mark(engine, *persons)
    found: list[int] = []
    barrier = threading.Barrier(2)

    def work(name: str) -> None:
        run = open_push(engine, name)
        barrier.wait()
        while taken := claimed(engine, run, most=3):
            found.extend(taken)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == persons


def test_a_claim_that_another_transaction_holds_is_skipped_not_waited_for(engine):
    persons = people(engine, 2)
    mark(engine, *persons)
    one, two = open_push(engine, "one"), open_push(engine, "two")
    with transaction(engine) as conn:
        assert len(outbox.claim(conn, one, most=1, now=NOW)) == 1
        assert list(claimed(engine, two)) == persons[1:]


def test_who_settles_is_closed_and_says_why(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run = open_push(engine)
    assert settle(engine, run, claimed(engine, run), code="PUSHED") == 1
    found = row(engine, person)
    assert (found.state, found.code, found.closed_at) == ("closed", "PUSHED", NOW)
    assert settle(engine, run, {person: 1}) == 0


def test_who_changes_while_they_are_claimed_waits_again(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run, other = open_push(engine), open_push(engine, "other")
    first = claimed(engine, run)
    mark(engine, person)
    assert claimed(engine, other) == {}  # looked at once at a time
    settle(engine, run, first, code="PUSHED")
    assert claimed(engine, other) == {person: 2}


def test_a_failure_waits_for_its_next_attempt_and_counts(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run = open_push(engine)
    failure = {"failure_class": "retry", "code": "UNABLE_TO_LOCK_ROW", "fix": "Nothing to do."}
    later = NOW + 10 * SECOND
    settle(
        engine, run, claimed(engine, run), state="waiting", **failure | {"next_attempt_at": later}
    )
    assert claimed(engine, run) == {}
    with transaction(engine) as conn:
        again = outbox.claim(conn, run, most=10, now=later)
    assert again[["attempts", "code"]].to_numpy().tolist() == [[1, "UNABLE_TO_LOCK_ROW"]]
    settle(engine, run, {person: 1}, now=later, code="PUSHED")
    assert (row(engine, person).attempts, row(engine, person).failure_class) == (0, None)


def test_a_new_act_does_not_wait_for_the_next_attempt_of_an_old_one(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run = open_push(engine)
    versions = claimed(engine, run)
    far = {"state": "parked", "next_attempt_at": NOW + timedelta(hours=12)}
    settle(engine, run, versions, failure_class="validation", code="X", **far)
    mark(engine, person)
    assert claimed(engine, run) == {person: 2}
    assert row(engine, person).attempts == 1  # and its patience goes on where it was


def test_claims_of_a_run_that_was_replaced_are_free_at_once(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    killed = open_push(engine)
    claimed(engine, killed)
    retried = open_push(engine)  # Airflow's retry: the same run id
    with transaction(engine) as conn:
        assert outbox.release_dead(conn, now=NOW) == 1
    assert claimed(engine, retried) == {person: 1}
    with pytest.raises(StaleAttemptError):
        settle(engine, killed, {person: 1})


def test_claims_of_a_run_that_died_without_a_retry_are_free_when_its_lease_ends(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    killed, other = open_push(engine), open_push(engine, "other", NOW)
    claimed(engine, killed)
    with transaction(engine) as conn:
        assert outbox.release_dead(conn, now=NOW + SECOND) == 0
    later = NOW + runs.lease_of("push") + SECOND
    with transaction(engine) as conn:
        runs.guard(conn, other, now=later)
        assert outbox.release_dead(conn, now=later) == 1
    assert runs.find(engine, killed.id).state == "failed"
    assert claimed(engine, other, now=later) == {person: 1}
    with pytest.raises(StaleAttemptError):  # asleep all the time, and awake again: fenced off
        settle(engine, killed, {person: 1}, now=later)


def test_a_run_puts_back_what_it_has_not_settled(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run = open_push(engine)
    claimed(engine, run)
    with transaction(engine) as conn:
        assert outbox.release(conn, run, now=NOW) == 1
    assert claimed(engine, run) == {person: 1}


def test_who_is_gone_from_the_store_leaves_the_outbox(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run = open_push(engine)
    claimed(engine, run)
    with transaction(engine) as conn:
        assert outbox.forget(conn, run, [person], now=NOW) == 1
    assert row(engine, person) is None


def test_a_run_sees_whom_another_one_looks_at(engine):
    one, two, three = people(engine, 3)
    mark(engine, one, two)
    mine, other = open_push(engine), open_push(engine, "other")
    claimed(engine, mine, most=1)
    claimed(engine, other, most=1)
    with transaction(engine) as conn:
        assert outbox.claimed_by_others(conn, mine, [one, two, three]) == [two]


# -- when there is something to do


def due(engine: Engine) -> timedelta | None:
    with transaction(engine) as conn:
        return outbox.due_in(conn)


def test_nothing_is_due_in_an_empty_outbox(engine):
    assert due(engine) is None


def test_a_mark_is_due_at_once(engine):
    mark(engine, *people(engine, 1))
    assert due(engine) == timedelta(0)


def test_a_failure_is_due_at_its_next_attempt(engine):
    (person,) = people(engine, 1)
    mark(engine, person)
    run = open_push(engine)
    with transaction(engine) as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
    later = {"state": "waiting", "next_attempt_at": now + timedelta(minutes=5)}
    settle(engine, run, claimed(engine, run), failure_class="retry", code="X", **later)
    assert timedelta(minutes=4) < due(engine) <= timedelta(minutes=5)


def test_a_claim_of_a_dead_run_is_due_and_one_of_a_living_run_is_not(engine):
    mark(engine, *people(engine, 1))
    run = open_push(engine)
    with transaction(engine) as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
        outbox.claim(conn, run, most=1, now=now)
    assert due(engine) > timedelta(minutes=1)
    runs.fail(engine, run.id, "killed", now=now)
    assert due(engine) == timedelta(0)


def choose(engine: Engine, **choices) -> None:
    with transaction(engine) as conn:
        chosen = settings.Settings(**choices)
        settings.save(conn, chosen, saved_by="admin", note="test", now=NOW)


def test_nothing_is_due_while_the_sync_is_paused_and_resuming_wakes(engine):
    mark(engine, *people(engine, 1))
    choose(engine, paused=True)
    assert due(engine) is None
    with listening(engine) as connection:
        choose(engine, paused=False)
        assert heard(connection) == 1
    assert due(engine) == timedelta(0)


def test_nothing_is_due_before_a_pause_ends_and_an_empty_outbox_never_is(engine):
    with transaction(engine) as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
        until = now + timedelta(minutes=2)
        pauses.begin(conn, until=until, code="DOWN", reason="down", now=now)
    assert due(engine) is None
    mark(engine, *people(engine, 1))
    assert timedelta(minutes=1) < due(engine) <= timedelta(minutes=2)
    with transaction(engine) as conn:
        assert pauses.end(conn)
        assert not pauses.end(conn)
    assert due(engine) == timedelta(0)


def test_a_pause_counts_its_failures_and_remembers_since_when(engine):
    with transaction(engine) as conn:
        assert pauses.current(conn) is None
        pauses.begin(conn, until=NOW + SECOND, code="DOWN", reason="one", now=NOW)
        second = NOW + 2 * SECOND
        pauses.begin(conn, until=second + SECOND, code="DOWN", reason="two", now=second)
        found = pauses.current(conn)
    assert found == pauses.Pause(NOW, second + SECOND, 2, "DOWN", "two")


# -- consents that nothing has judged


def test_a_consent_that_nothing_has_judged_is_marked_once(engine):
    waits, old, refused = people(engine, 3)
    long_ago = NOW - timedelta(days=8)
    with transaction(engine) as conn:
        add_resubscribe(conn, waits)
        add_resubscribe(conn, old, recorded_at=long_ago, occurred_at=long_ago)
        act = add_resubscribe(conn, refused)
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.resubscribe_judgement (judged_at, sync_run_id, act_id, "
                "person_id, verdict, code, reason) VALUES (now(), 1, :a, :p, 'refused', 'X', 'x')"
            ),
            {"a": act, "p": refused},
        )
    forget_signals(engine)
    with transaction(engine) as conn:
        assert outbox.signal_unjudged(conn, since=NOW - timedelta(days=7)) == 1
        assert outbox.signal_unjudged(conn, since=NOW - timedelta(days=7)) == 0
    assert signals(engine) == [waits]


# -- how much waits


def test_the_depth_counts_people_once_and_tells_the_oldest(engine):
    one, two, three = people(engine, 3)
    mark(engine, one, two, three)
    run = open_push(engine)
    versions = claimed(engine, run)
    settle(engine, run, {one: versions[one]}, code="PUSHED")
    parked = {"state": "parked", "failure_class": "validation", "code": "X"}
    settle(engine, run, {two: versions[two]}, **parked)
    mark(engine, two)
    with transaction(engine) as conn:
        found = outbox.depth(conn)
        now = conn.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    assert (found.people, found.failing) == (2, {"validation": 1})
    assert found.oldest is not None
    age = now - row(engine, three).marked_at
    assert timedelta(0) <= age - found.oldest < timedelta(seconds=1)
