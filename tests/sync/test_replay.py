"""A past night again: the interval says which links, the present says what is true."""

import threading
import time
from datetime import timedelta
from itertools import count

import pytest

from include.audit import runs
from include.audit.runs import NightAlreadyOpenError
from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from include.sync.preflight import Patience, Trigger, preflight
from include.sync.report import report

CONTACT, LEAD = SalesforceObject
NUMBERS = count()
DAY = timedelta(days=1)


def start_replay(world, start, end, *, kind="replay", patience=None, run_id=None):
    trigger = Trigger(run_id or f"backfill__{next(NUMBERS)}", (start, end), False, kind=kind)
    return preflight(
        world.engine,
        world.client(),
        trigger,
        clock=utc_now,
        announce=lambda run_id: None,
        patience=patience or Patience(),
    )


def replay(world, start, end, **options):
    """A whole replay that ends green; returns its run id."""
    sync_run_id = start_replay(world, start, end, **options)
    for step in world.steps(sync_run_id).values():
        step()
    report(world.engine, sync_run_id, clock=utc_now)
    return sync_run_id


def a_second_later():
    """Salesforce tells whole seconds: what is done after this is told apart from before."""
    time.sleep(1.1)
    now = utc_now()
    time.sleep(1.1)
    return now


def kind_of(world, sync_run_id):
    return runs.find(world.engine, sync_run_id).kind


def test_only_what_happened_in_the_interval_is_decided_and_by_what_is_true_now(world):
    start = utc_now() - timedelta(hours=1)
    in_store, in_salesforce = world.pair(True, False), world.pair(False, True, LEAD)
    end = a_second_later()
    later = world.pair(True, False)
    edited_since = world.pair(False, True)
    night = replay(world, start, end)
    assert world.codes(night) == {
        in_store[0]: "FIRST_SEEN_OPT_OUT",
        in_salesforce[0]: "FIRST_SEEN_OPT_OUT",
    }
    assert world.agreed(*in_store) is True
    assert world.agreed(*in_salesforce) is True
    assert world.agreed(*later) is None
    assert world.agreed(*edited_since) is None
    world.night()
    assert world.agreed(*later) is True
    assert world.agreed(*edited_since) is True


def test_a_second_rerun_writes_nothing(world):
    world.pair(True, False), world.pair(False, True)
    start, end = utc_now() - DAY, utc_now() + timedelta(hours=1)
    replay(world, start, end)
    again = replay(world, start, end)
    assert world.codes(again) == {}
    assert world.outcomes(again) == []


def test_an_empty_interval_writes_nothing(world):
    pair = world.pair(True, False)
    night = replay(world, utc_now() - 10 * DAY, utc_now() - 9 * DAY)
    assert world.codes(night) == {}
    assert world.agreed(*pair) is None
    assert world.base(pair[0]) is None


def test_a_rerun_writes_nothing_that_a_live_night_at_that_moment_would_not(world):
    """It decides by today's rules: whoever opted out since stays opted out."""
    people = [world.pair(store, box, obj) for store in (True, False) for box in (True, False)
              for obj in (CONTACT, LEAD)]  # fmt: skip
    start, end = utc_now() - DAY, utc_now() + timedelta(hours=1)
    world.consent(people[0][0])
    _, planned = world.work(plan_only=True)
    night = replay(world, start, end)
    live = world.decisions(planned).set_index(["person_id", "record_id", "field"])
    rerun = world.decisions(night).set_index(["person_id", "record_id", "field"])
    assert len(rerun)
    columns = ["target_store", "target_salesforce", "new_base", "code", "reason", "cause"]
    assert rerun[columns].equals(live.loc[rerun.index, columns])


def test_what_that_night_left_failed_is_decided_again(world):
    person, record = world.pair(True, False)
    world.org.add_fault(
        method="PATCH", path_contains="composite/sobjects", action="row_error",
        code="FIELD_CUSTOM_VALIDATION_EXCEPTION", times=1,
    )  # fmt: skip
    world.work(days=-5)  # an interval in which nobody did anything
    assert world.agreed(person, record) is None
    end = utc_now() - 5 * DAY
    night = replay(world, end - DAY, end)
    assert world.codes(night)[person] == "FIRST_SEEN_OPT_OUT"
    assert world.agreed(person, record) is True


def test_a_group_is_decided_whole_though_only_one_of_it_did_something(world):
    record = world.record(False)
    start = a_second_later()
    silent = world.person(record)
    active = world.person(record, opted_out=True)
    night = replay(world, start, utc_now() + timedelta(hours=1))
    assert world.codes(night) == {silent: "SHARED_RECORD", active: "FIRST_SEEN_OPT_OUT"}
    assert world.in_store(silent)
    assert world.in_salesforce(record)
    assert world.codes(world.night()) == {}


def test_a_night_that_closed_and_is_cleared_is_a_replay_and_a_failed_one_is_not(world):
    start, end = utc_now() - DAY, utc_now()
    first = start_replay(world, start, end, kind="night", run_id="scheduled__1")
    failed = start_replay(world, start, end, kind="night", run_id="scheduled__1")
    assert [kind_of(world, each) for each in (first, failed)] == ["night", "night"]
    for step in world.steps(failed).values():
        step()
    again = start_replay(world, start, end, kind="night", run_id="scheduled__1")
    assert kind_of(world, again) == "replay"
    assert runs.find(world.engine, failed).state == "closed"


def test_a_night_by_hand_does_not_make_a_replay_of_tonights(world):
    """It has the same date, and whoever is imported in between would wait until tomorrow."""
    by_hand = world.night()
    imported, _ = world.pair(False, False)
    end = a_second_later()
    tonight = start_replay(world, end, end + timedelta(seconds=1), kind="night")
    names = [runs.find(world.engine, each).night for each in (by_hand, tonight)]
    assert names[0] == names[1]
    assert kind_of(world, tonight) == "night"
    for step in world.steps(tonight).values():
        step()
    assert world.codes(tonight) == {imported: "FIRST_SEEN_AGREED"}


def test_a_replay_while_the_sync_is_off_is_a_skipped_replay(world):
    start, end = utc_now() - DAY, utc_now()
    close_night(world, start, end)
    world.choose(enabled=False)
    assert start_replay(world, start, end) is None
    assert start_replay(world, start, end, kind="night", run_id="scheduled__1") is None
    assert start_replay(world, start - DAY, end - DAY, kind="night") is None
    found = world.sql("SELECT kind, state FROM opt_out_sync.sync_run ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("night", "closed"),
        ("replay", "skipped"),
        ("replay", "skipped"),
        ("night", "skipped"),
    ]


def close_night(world, start, end):
    sync_run_id = start_replay(world, start, end, kind="night", run_id="scheduled__1")
    for step in world.steps(sync_run_id).values():
        step()


def test_a_replay_is_no_further_night_in_a_tug_of_war(world):
    person, record = world.pair(True, True)
    world.night()
    world.org.edit(record, HasOptedOutOfEmail=False)
    world.night()
    (before,) = world.sql("SELECT flips FROM opt_out_sync.link WHERE person_id = :p", p=person)
    world.org.edit(record, HasOptedOutOfEmail=False)
    replay(world, utc_now() - DAY, utc_now() + timedelta(hours=1))
    (after,) = world.sql("SELECT flips FROM opt_out_sync.link WHERE person_id = :p", p=person)
    assert (before.flips, after.flips) == (1, 1)


def test_a_replay_waits_for_the_night_that_holds_the_lease(world):
    _, open_night = world.open_night()
    waited = []

    def end_the_night(seconds):
        waited.append(seconds)
        runs.fail(world.engine, open_night, "test", now=utc_now())

    patience = Patience(longest=60, sleep=end_the_night)
    sync_run_id = start_replay(world, utc_now() - DAY, utc_now(), patience=patience)
    assert kind_of(world, sync_run_id) == "replay"
    assert waited == [patience.replay]


def test_waiting_has_an_end(world):
    world.open_night()
    with pytest.raises(NightAlreadyOpenError, match="holds the lease until"):
        start_replay(world, utc_now() - DAY, utc_now(), patience=Patience())


@pytest.mark.timeout(600)
def test_ten_replays_beside_a_live_night_take_turns_and_lose_nothing(world):
    pairs = [world.pair(True, False) for _ in range(5)] + [world.pair(False, True, LEAD)]
    start, end = utc_now() - DAY, utc_now() + timedelta(hours=1)
    quick = Patience(longest=300, night=0.02, replay=0.1)
    failures = []

    def run(number):
        try:
            replay(world, start - number * DAY, end - number * DAY, patience=quick)
        except Exception as error:  # a thread must not die in silence
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    live = replay(world, start + DAY, end + DAY, kind="night", patience=quick)
    for thread in threads:
        thread.join()
    assert failures == []
    assert kind_of(world, live) == "night"
    assert all(world.agreed(*pair) is True for pair in pairs)
    told = world.sql(
        "SELECT person_id, side, count(*) AS n FROM opt_out_sync.write_attempt "
        "WHERE outcome = 'applied' GROUP BY person_id, side"
    )
    assert len(told) == len(pairs)
    assert {row.n for row in told} == {1}
