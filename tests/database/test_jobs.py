"""The journal of Salesforce jobs: what a step that starts again finds in it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from include.audit import runs
from include.audit.jobs import QUERY_IS_FRESH, DatabaseJobJournal
from include.audit.runs import LEASE, NightAlreadyOpenError, StaleAttemptError
from include.salesforce.jobs import LeftJob
from tests.database.world import NOW, open_run

SECOND = timedelta(seconds=1)
JOB = "750000000000001AAA"
STEP = "load_salesforce"


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def started(engine: Engine, run_id: int, clock: Clock) -> DatabaseJobJournal:
    return DatabaseJobJournal(engine, runs.enter(engine, run_id, STEP, now=clock()), clock)


def test_a_step_that_starts_again_finds_what_it_left_until_that_is_settled(engine: Engine) -> None:
    run, clock = open_run(engine), Clock()
    first = started(engine, run.id, clock)
    assert not first.is_resumed
    key = first.planned("Contact", "update", "Box__c", 3)
    first.created(key, JOB)
    other = first.planned("Contact", "update", "Other__c", 5)
    again = started(engine, run.id, clock)
    assert again.is_resumed
    assert again.left("Contact", "update", "Box__c") == [LeftJob(key, JOB, 3)]
    assert again.left("Contact", "update", "Other__c") == [LeftJob(other, None, 5)]
    assert again.left("Lead", "update", "Box__c") == []
    again.settled(key)
    assert again.left("Contact", "update", "Box__c") == []
    assert again.known([JOB, "750000000000002AAA"]) == {JOB}


def test_jobs_of_a_run_that_ended_are_abandoned_and_those_of_an_open_one_are_not(
    engine: Engine,
) -> None:
    run, clock = open_run(engine), Clock()
    journal = started(engine, run.id, clock)
    key = journal.planned("Contact", "update", "Box__c", 3)
    assert journal.abandoned("Contact", "update") == []
    runs.fail(engine, run.id, "killed", now=NOW)
    newer = open_run(engine, "two", now=NOW + SECOND)
    later = started(engine, newer.id, Clock(NOW + SECOND))
    assert later.abandoned("Contact", "update") == [LeftJob(key, None, 3)]
    assert later.left("Contact", "update", "Box__c") == []


@pytest.mark.parametrize(("operation", "is_found"), [("queryAll", False), ("update", True)])
def test_the_answer_of_an_old_query_is_not_taken_for_what_is_true_now(
    engine: Engine, operation: str, is_found: bool
) -> None:
    run, clock = open_run(engine), Clock()
    journal = started(engine, run.id, clock)
    journal.created(journal.planned("Contact", operation), JOB)
    clock.now = NOW + QUERY_IS_FRESH
    assert len(started(engine, run.id, clock).left("Contact", operation)) == 1
    clock.now += SECOND
    assert bool(started(engine, run.id, clock).left("Contact", operation)) == is_found


def test_a_job_that_takes_longer_than_the_lease_renews_it(engine: Engine) -> None:
    run, clock = open_run(engine), Clock()
    journal = started(engine, run.id, clock)
    while clock.now < NOW + 3 * LEASE:
        clock.now += timedelta(seconds=5)
        journal.waiting()
    with pytest.raises(NightAlreadyOpenError):
        open_run(engine, "another", now=clock.now)


def test_without_that_another_run_takes_over(engine: Engine) -> None:
    started(engine, open_run(engine).id, Clock())
    assert open_run(engine, "another", now=NOW + 3 * LEASE).state == "open"


def test_an_attempt_that_wakes_up_beside_its_retry_stops_waiting_and_notes_nothing(
    engine: Engine,
) -> None:
    run, clock = open_run(engine), Clock()
    asleep = started(engine, run.id, clock)
    key = asleep.planned("Contact", "update", "Box__c", 3)
    awake = started(engine, run.id, clock)
    clock.now += LEASE / 2
    for call in (
        asleep.waiting,
        lambda: asleep.created(key, JOB),
        lambda: asleep.settled(key),
        lambda: asleep.left("Contact", "update", "Box__c"),
    ):
        with pytest.raises(StaleAttemptError):
            call()
    assert awake.left("Contact", "update", "Box__c") == [LeftJob(key, None, 3)]
