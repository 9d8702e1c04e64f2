"""The push on bad days: nothing lost, nothing doubled, the newest act wins.

Everything is real: PostgreSQL, the emulator over TLS, processes that are killed.
"""

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta

import pytest
from upath import UPath

from include.audit.runs import WrongOrgError
from include.audit.waiting import wait_until_due
from include.domain.values import SalesforceObject
from include.salesforce.errors import LoginError
from include.store.database import connect
from include.sync.clock import utc_now
from include.sync.push import Patience, push
from local.salesforce_emulator.testing import Size, running_emulator
from tests.sync.pushing import (
    audit,
    count_saves,
    due_now,
    killed_at,
    lines_of,
    outbox,
    pause,
    pushed,
    restart,
    saves,
    settled,
    states,
    writes,
)
from tests.sync.world import World

CONTACT, LEAD = SalesforceObject
COLLECTIONS = "composite/sobjects"


@pytest.fixture
def pairs(world):
    """People whose record agrees with them, all known to the last night."""
    pairs = [world.pair(False, False) for _ in range(6)]
    world.night()
    count_saves(world.org)
    return pairs


def unsubscribe(world, pairs):
    for person, _ in pairs:
        world.unsubscribe(person, at=utc_now())


def each_saved_once(world, pairs):
    return saves(world.org) == {record: 1 for _, record in pairs}


def all_opted_out(world, pairs):
    return all(world.agreed(*pair) is True for pair in pairs)


# -- Salesforce


@pytest.mark.parametrize("status", [503, 500, 429, 420, 406])
def test_an_hour_without_salesforce_loses_nothing_and_stays_green(world, pairs, status):
    world.org.add_fault(status=status, body="<html>busy</html>", times=10_000)
    unsubscribe(world, pairs)
    delays = []
    for minute in range(8):
        pushed(world, f"push {minute}")
        until = world.sql("SELECT until - now() AS d FROM opt_out_sync.push_pause")[0].d
        delays.append(until)
        assert states(world).keys() <= {"waiting"}
        due_now(world)
    assert delays == sorted(delays) or max(delays) > timedelta(seconds=60)
    assert not saves(world.org)
    assert {row.state for row in world.sql("SELECT state FROM opt_out_sync.sync_run")} <= {
        "closed", "failed", "superseded",
    }  # fmt: skip
    world.org.clear_faults()
    pushed(world, "after")
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)
    assert pause(world) is None


def test_during_an_outage_new_acts_do_not_try_it_again_and_again(world, pairs):
    world.org.add_fault(status=503, times=10_000)
    unsubscribe(world, pairs[:1])
    pushed(world)
    world.org.reset_requests()
    unsubscribe(world, pairs[1:])
    pushed(world, "second")
    assert world.org.request_counts() == {}
    failures = world.sql("SELECT * FROM opt_out_sync.v_open_failures")
    assert [(f.person_id, f.code) for f in failures] == [
        (person, "SALESFORCE_UNAVAILABLE") for person, _ in pairs
    ]
    assert all("not available (HTTP 503)" in f.fix for f in failures)


def test_an_outage_between_reading_and_writing_loses_nothing(world, pairs):
    world.org.add_fault(status=503, method="PATCH", times=10_000)
    unsubscribe(world, pairs)
    assert pushed(world)["failed"] == {"retry": 6}
    world.org.clear_faults()
    due_now(world)
    pushed(world, "after")
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)
    assert audit(world, pairs[0][0])[-1] == "UNSUBSCRIBED_IN_STORE"


def test_a_reply_that_is_lost_after_the_write_is_found_out_and_written_once(world, pairs):
    world.org.add_fault(action="reset_after", method="PATCH", path_contains=COLLECTIONS, times=1)
    unsubscribe(world, pairs)
    pushed(world)
    assert {outbox(world, person).failure_class for person, _ in pairs} == {"retry"}
    due_now(world)
    pushed(world, "after")
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)
    for person, _ in pairs:
        # the audit tells one story: decided once, written once, seen
        assert audit(world, person)[-1] == "UNSUBSCRIBED_IN_STORE"
        assert writes(world, person) == [("salesforce", True, "confirmed", "PUSHED")]
        assert world.base(person) is True


def test_an_answer_that_is_cut_short_is_believed_in_nothing(world, pairs):
    world.org.add_fault(action="truncate", method="PATCH", path_contains=COLLECTIONS, times=1)
    unsubscribe(world, pairs)
    pushed(world)
    due_now(world)
    pushed(world, "after")
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)


def test_a_reply_that_is_lost_before_the_write_is_told_as_such_and_tried_again(world, pairs):
    world.org.add_fault(action="reset", method="PATCH", path_contains=COLLECTIONS, times=1)
    unsubscribe(world, pairs[:1])
    pushed(world)
    due_now(world)
    pushed(world, "after")
    assert all_opted_out(world, pairs[:1])
    assert writes(world, pairs[0][0]) == [
        ("salesforce", True, "failed", "REPLY_LOST"),
        ("salesforce", True, "confirmed", "PUSHED"),
    ]


def test_a_clear_whose_reply_is_lost_is_made_once(world):
    person, record = world.pair(True, True)
    world.night()
    count_saves(world.org)
    world.org.add_fault(action="reset_after", method="PATCH", path_contains=record, times=1)
    world.consent(person)
    pushed(world)
    due_now(world)
    pushed(world, "after")
    assert world.agreed(person, record) is False
    assert saves(world.org) == {record: 1}
    assert world.base(person) is False


def test_a_session_that_ends_in_between_is_renewed(world, pairs):
    world.org.add_fault(action="expire_session", method="PATCH", times=1)
    unsubscribe(world, pairs)
    pushed(world)
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)


def test_requests_that_are_used_up_pause_the_push_for_minutes(world, pairs):
    world.org.set_limits(daily_api_requests=1_000, used=1_000)
    unsubscribe(world, pairs)
    pushed(world)
    assert pause(world) == "API_LIMIT"
    until = world.sql("SELECT until - now() AS d FROM opt_out_sync.push_pause")[0].d
    assert until > timedelta(minutes=10)
    world.org.set_limits()
    due_now(world)
    pushed(world, "after")
    assert all_opted_out(world, pairs)
    assert pause(world) is None


def test_near_the_limit_pushes_slow_down_say_so_and_never_starve(world, pairs, caplog):
    world.org.set_limits(daily_api_requests=1_000, used=600)  # 400 left, 500 are the reserve
    unsubscribe(world, pairs[:1])
    pushed(world)
    assert world.in_salesforce(pairs[0][1])
    assert pause(world) == "LOW_API_BUDGET"
    assert "pushes are made every 30 seconds" in caplog.text
    world.org.reset_requests()
    unsubscribe(world, pairs[1:])
    pushed(world, "second")
    assert world.org.request_counts() == {}  # not at once ...
    due_now(world)
    pushed(world, "third")
    assert all_opted_out(world, pairs)  # ... but soon
    world.org.set_limits()
    person, _ = world.pair(False, False)
    world.unsubscribe(person, at=utc_now())
    due_now(world)
    pushed(world, "fourth")
    assert pause(world) is None


def test_a_login_that_is_refused_is_red_pauses_and_loses_nothing(world, pairs, monkeypatch):
    unsubscribe(world, pairs)
    good = os.environ["AIRFLOW_CONN_SALESFORCE"]
    monkeypatch.setenv(
        "AIRFLOW_CONN_SALESFORCE", good.replace(world.org.client_secret, "wrong-one")
    )
    with pytest.raises(LoginError):
        pushed(world)
    assert pause(world) == "LOGIN"
    assert pushed(world, "second")["people"] == 0  # not a hundred red runs a minute
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", good)
    due_now(world)
    pushed(world, "third")
    assert all_opted_out(world, pairs)


def test_another_org_stops_the_push(world, pairs):
    world.sql("UPDATE opt_out_sync.sync_run SET org_id = '00D000000000009AAA'")
    unsubscribe(world, pairs)
    with pytest.raises(WrongOrgError):
        pushed(world)
    assert not saves(world.org)


# -- killed


LINES = int(os.environ.get("OPT_OUT_SYNC_KILL_POINTS", "24"))
"""At how many lines of a push it is killed, spread over all of it."""


def kill_points(world, work):
    total = lines_of(work)
    return total, [round(total * (n + 0.5) / LINES) for n in range(LINES)]


@pytest.mark.timeout(900)
def test_a_push_can_be_killed_at_any_line(world):
    """For each line: kill it there, let Airflow's retry do the rest, and compare."""
    first, _ = world.pair(False, False)
    world.night()
    world.unsubscribe(first, at=utc_now())
    total, points = kill_points(world, lambda: pushed(world, "counted"))
    assert total > 1_000
    killed = 0
    for number, line in enumerate(points):
        person, record = world.pair(False, False)
        pushed(world, "warm")
        count_saves(world.org)
        before = saves(world.org)[record]
        world.unsubscribe(person, at=utc_now())
        name = f"push {number}"
        killed += killed_at(line, world, lambda name=name: pushed(world, name))
        pushed(world, name)  # the retry: the same Airflow run
        where = f"killed at line {line} of {total}"
        assert world.agreed(person, record) is True, where
        assert saves(world.org)[record] - before == 1, where
        assert settled(world, person)[0] == "closed", where
        assert world.base(person) is True, where
        assert answered(world, person), where
        assert "confirmed" in {outcome for _, _, outcome, _ in writes(world, person)}, where
        world.sql("DELETE FROM engagement.person WHERE id = :p", p=person)
    assert killed >= LINES * 0.8


def answered(world, person):
    """Whether every planned write of a person has an outcome."""
    rows = world.sql(
        "SELECT count(*) AS n FROM opt_out_sync.merge_audit AS d WHERE d.person_id = :p AND "
        "d.target_salesforce IS NOT NULL AND NOT EXISTS (SELECT FROM opt_out_sync.write_attempt "
        "AS w WHERE w.person_id = d.person_id AND w.sync_run_id = d.sync_run_id "
        "AND w.side = 'salesforce')",
        p=person,
    )
    return rows[0].n == 0


@pytest.mark.timeout(900)
def test_a_push_that_clears_can_be_killed_at_any_line(world):
    world.choose(held_clears_minimum=1_000)
    first, _ = world.pair(True, True)
    world.night()
    world.consent(first)
    total, points = kill_points(world, lambda: pushed(world, "counted"))
    killed = 0
    for number, line in enumerate(points):
        person, record = world.pair(True, True)
        pushed(world, "warm")
        count_saves(world.org)
        before = saves(world.org)[record]
        act = world.consent(person)
        name = f"push {number}"
        killed += killed_at(line, world, lambda name=name: pushed(world, name))
        pushed(world, name)
        where = f"killed at line {line} of {total}"
        assert world.agreed(person, record) is False, where
        assert saves(world.org)[record] - before == 1, where
        assert world.judgement(act) == ("accepted", "RESUBSCRIBED"), where
        assert world.base(person) is False, where
        assert answered(world, person), where
        world.sql("DELETE FROM engagement.person WHERE id = :p", p=person)
    assert killed >= LINES * 0.8


# -- many


@pytest.mark.timeout(300)
def test_two_pushes_at_once_share_the_work(world):
    pairs = [world.pair(False, False) for _ in range(40)]
    world.night()
    count_saves(world.org)
    barrier = threading.Barrier(2)
    counts = {}

    def work(name):
        barrier.wait()
        engine = connect(world.engine.url)
        patience = Patience(linger=timedelta(seconds=2))
        counts[name] = push(engine, world.client(), name, clock=utc_now, patience=patience)
        engine.dispose()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for person, _ in pairs:  # while both are at it
        world.unsubscribe(person, at=utc_now())
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)
    assert sum(each["pushed"] for each in counts.values()) == 40


@pytest.mark.timeout(600)
def test_fifty_thousand_unsubscribes_in_a_minute_all_arrive_in_few_requests(
    engine, tmp_path_factory, monkeypatch
):
    many, company = 50_000, 50_500
    with running_emulator(tmp_path_factory.mktemp("many"), Size(company, 10)) as org:
        monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", org.airflow_connection)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(org.ca_bundle))
        world = World(engine, org, UPath(tmp_path_factory.mktemp("staging")))
        world.choose(enabled=True)
        with closing(sqlite3.connect(org.database, timeout=30)) as database, database:
            database.execute('UPDATE "Contact" SET HasOptedOutOfEmail = 0')
        count_saves(org)
        records = world._unused[CONTACT][:many]
        world.sql(
            "INSERT INTO engagement.person (email, salesforce_id) "
            "SELECT 'canary@example.com', record FROM unnest(CAST(:r AS text[])) AS record",
            r=records,
        )
        org.reset_requests()
        for start in range(0, many, 500):  # as an application would, a hundred at a time
            world.sql(
                "INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, "
                "idempotency_key) SELECT id, 'unsubscribe', 'team', 'One-Click', now(), 'k' || id "
                "FROM engagement.person ORDER BY id OFFSET :start LIMIT 500",
                start=start,
            )
        assert pushed(world)["pushed"] == many
        made = org.request_counts()
        assert saves(org) == dict.fromkeys(records, 1)
        assert states(world) == {"closed": many}
        assert sum(n for name, n in made.items() if name.startswith("PATCH")) == many / 200
        assert sum(made.values()) < many / 200 * 1.15
        assert world.sql("SELECT count(*) AS n FROM opt_out_sync.link WHERE base")[0].n == many


# -- the database


@pytest.mark.timeout(300)
def test_a_push_waits_for_a_database_that_restarts_and_goes_on(restartable):
    world, data = restartable
    pairs = [world.pair(False, False) for _ in range(20)]
    world.night()
    count_saves(world.org)
    done = []
    patience = Patience(linger=timedelta(seconds=8))
    thread = threading.Thread(
        target=lambda: done.append(pushed(world, client=world.client(), patience=patience))
    )
    thread.start()
    for number, (person, _) in enumerate(pairs):
        if number == 10:
            restart(data, 1.0)
            world.engine.dispose()
        world.unsubscribe(person, at=utc_now())
        time.sleep(0.05)
    thread.join()
    assert done
    assert all_opted_out(world, pairs)
    assert each_saved_once(world, pairs)
    assert all(answered(world, person) for person, _ in pairs)


@pytest.mark.timeout(300)
def test_waiting_survives_a_restart_of_the_database_and_hears_what_came_after(restartable):
    world, data = restartable
    person, _ = world.pair(False, False)
    engine = world.engine

    async def store():
        return engine

    async def scenario():
        waiting = asyncio.create_task(wait_until_due(store, longest=60))
        await asyncio.sleep(1)
        await asyncio.to_thread(restart, data, 1.0)
        engine.dispose()
        await asyncio.sleep(2)
        assert not waiting.done()
        await asyncio.to_thread(world.unsubscribe, person, at=utc_now())
        return await asyncio.wait_for(waiting, 30)

    assert asyncio.run(scenario()) is True
