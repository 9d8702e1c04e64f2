"""The night when the machines fail: the database restarts, a disk is full, a clock is wrong.

The same three questions as in `test_night_faults`: nothing lost, no effect twice, audit complete.
"""

import os
import resource
import signal
from datetime import timedelta

import pytest
from sqlalchemy import event

from include.store.clock import clock_of
from include.store.database import connect
from include.sync.clock import utc_now
from include.sync.report import NightNeedsAttentionError
from include.sync.staging import StagingFullError
from tests.sync.pushing import pushed, restart
from tests.sync.test_night_faults import Work, night, retried
from tests.sync.world import FIELD

TASKS = ("extract.store", "load.store", "load.salesforce", "load.clears", "close")


# -- the database restarts


class Commits:
    """Calls something at one commit of a task: before it is sent, or after it is answered."""

    def __init__(self, engine):
        self._wanted, self._do, self._committed = None, None, False
        event.listen(engine, "commit", self._before)
        event.listen(engine, "checkin", self._after)

    def at(self, number, moment, do):
        self._wanted, self._do = (number, moment), do

    def _before(self, connection):
        self._committed = True
        self._reached("before")

    def _after(self, connection, record):
        if self._committed:
            self._committed = False
            self._reached("after")
            if self._wanted is not None:
                self._wanted = (self._wanted[0] - 1, self._wanted[1])

    def _reached(self, moment):
        if self._wanted == (0, moment):
            self._wanted = None
            self._do()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", TASKS)
def test_a_database_that_restarts_in_any_task_loses_and_doubles_nothing(restartable, task):
    """Before a commit the work is lost and done again; after it, it is found done."""
    world, data = restartable
    world.choose(
        bulk_threshold=1, held_clears_minimum=1_000, alert_drop_fraction=1,
        alert_writes_minimum=10_000,
    )  # fmt: skip
    commits = Commits(world.engine)
    for moment in ("before", "after"):
        for number in (0, 2):
            work, restarts = Work(world, to_salesforce=2), []

            def fail(restarts=restarts):
                restarts.append(True)
                restart(data)

            begin = lambda n=number, m=moment, f=fail: commits.at(n, m, f)  # noqa: E731
            night(world, task, begin)
            work.is_done_once()
            commits.at(0, "never", fail)
            assert restarts or number, "every task commits"


# -- the disk is full


def with_a_full_disk(world, step, after):
    """Run a task in a process whose files cannot grow beyond so many bytes; returns its error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (after, after))
            world.engine = connect(world.engine.url)  # connections are not shared by processes
            step(world)()
            status = 0
        except StagingFullError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(status)
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read() if status else None


@pytest.mark.parametrize("after", [0, 300])
@pytest.mark.parametrize("task", ["extract.store", "extract.contact", "split", "decide", "merge"])
def test_a_full_staging_disk_stops_the_task_and_says_so(world, task, after):
    """Nothing lost: what was written in part is not read; with room again the night goes on."""
    work = Work(world)
    attempt, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == task:
            said = with_a_full_disk(world, lambda w: w.steps(sync_run_id)[task], after)
            assert "cannot be written" in said
            assert "make room" in said
        retried(step)
    world.report(attempt)
    work.is_done_once()


# -- a clock is wrong


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("off", [-HOUR, -HOUR / 2, HOUR], ids=["behind", "half an hour", "ahead"])
@pytest.mark.parametrize("by", ["night", "push"])
def test_a_consent_from_before_a_tick_never_ends_it_whatever_salesforces_clock_says(world, off, by):
    """Nothing lost: a clock that is behind makes a newer opt-out look older than the consent."""
    person, record = world.pair(False, False)
    world.org.set_clock(off.total_seconds())
    world.org.edit(record, **{FIELD: True})
    consent = world.consent(person, at=utc_now() - HOUR / 4)
    if by == "push":
        pushed(world)
    world.work()
    assert world.agreed(person, record) is True
    assert world.judgement(consent)[0] == "refused"


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_a_night_under_a_wrong_clock_says_so_and_loses_no_opt_out(world, off):
    """Nothing lost, audit complete: only consent is judged with more care."""
    pairs = [world.pair(True, False), world.pair(False, True)]
    world.org.set_clock(off.total_seconds())
    attempt, sync_run_id = world.work()
    assert all(world.agreed(*pair) is True for pair in pairs)
    assert [o.outcome for o in world.outcomes(sync_run_id)] == ["applied", "confirmed"] * 2
    where = "ahead of" if off > timedelta(0) else "behind"
    with pytest.raises(NightNeedsAttentionError, match=rf"3,\d+ seconds {where} the database's"):
        world.report(attempt)
    world.org.set_clock(0)
    world.night()


def test_a_consent_that_is_newer_than_all_doubt_ends_an_opt_out_under_a_wrong_clock(world):
    """Valid evidence succeeds: the doubt is as large as the clock is wrong, and no larger."""
    person, record = world.pair(True, True)
    world.unsubscribe(person, at=utc_now() - 3 * HOUR)
    world.org.set_clock(-3 * HOUR.total_seconds())
    world.org.edit(record, Title="x")
    world.org.set_clock(-HOUR.total_seconds())
    consent = world.consent(person)
    world.work()
    assert world.judgement(consent) == ("accepted", "RESUBSCRIBED")


def test_the_time_of_the_sync_is_the_databases_whatever_the_worker_believes(engine):
    """Leases, and what counts as the time of a read, must mean the same on every machine."""
    passed = iter([100.0, 100.0, 190.0])
    now = clock_of(engine, elapsed=lambda: next(passed))
    first, later = now(), now()
    assert abs(first - utc_now()) < timedelta(seconds=30)
    assert first.utcoffset() == timedelta(0)
    assert later - first == timedelta(seconds=90)
