"""Held clears and pushes killed before and after every effect; attempts that wake up too late."""

import os
import signal
import time

import pytest
from upath import UPath

from include.sync.report import report
from tests.sync.pushing import count_saves, pushed, saves, settled
from tests.sync.stopping import FAILED, FINISHED, boundaries, run
from tests.sync.test_held_clears import Question, red_night, resolutions
from tests.sync.test_kill_points import big_org  # noqa: F401  a fixture
from tests.sync.world import FIELD, World

EVERY = 1 if os.environ.get("OPT_OUT_SYNC_KILL_EVERY") == "1" else 13
"""Each kill costs seconds: CI's long profile kills at every boundary, the short one at some.

Odd: boundaries come in pairs, before and after, and both are met.
"""


@pytest.fixture
def world(engine, big_org, monkeypatch, tmp_path_factory):  # noqa: F811
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", big_org.airflow_connection)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(big_org.own_ca))
    big_org.reset()
    world = World(engine, big_org, UPath(tmp_path_factory.mktemp("staging")))
    world.choose(
        enabled=True, clock_skew_seconds=0, held_clears_minimum=1, held_clears_fraction=0,
        alert_drop_fraction=1, alert_writes_minimum=10_000,
    )  # fmt: skip
    world.confirm_org()
    count_saves(big_org)
    return world


def newest_run(world):
    return world.sql("SELECT max(id) AS id FROM opt_out_sync.sync_run")[0].id


def chosen(found):
    """Some boundaries, both kinds of each, and the last."""
    return sorted({*range(0, len(found), EVERY), len(found) - 1})


def outcomes_of(world, person):
    """Newest outcome by side and target."""
    rows = world.sql(
        "SELECT DISTINCT ON (side, target) side, target, outcome FROM opt_out_sync.write_attempt "
        "WHERE person_id = :p AND outcome <> 'held' ORDER BY side, target, id DESC",
        p=person,
    )
    return {(row.side, row.target): row.outcome for row in rows}


# -- killed


class Approved:
    """Two clears that a night held and a person approved."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.pairs = [world.pair(True, True) for _ in range(2)]
        world.work()
        self.consents = [world.consent(person) for person, _ in self.pairs]
        red_night(world)
        self.before, self.question = saves(world.org), Question(world, name)

    def work(self, world):
        self.question.world = world
        sync_run_id = self.question.decide()
        for step in self.question.steps(sync_run_id).values():
            step()

    def retry(self):
        """Clear the task that was killed, downstream included."""
        world, question = self.world, self.question
        question.world = world
        rows = world.sql(
            "SELECT r.id FROM opt_out_sync.sync_run AS r JOIN opt_out_sync.sync_step AS s "
            "ON s.sync_run_id = r.id AND s.step = 'merge' AND s.finished_at IS NOT NULL "
            "WHERE r.airflow_run_id = :name",
            name=self.name,
        )
        sync_run_id = rows[0].id if rows else question.decide()
        for step in question.steps(sync_run_id).values():
            step()

    def is_done_once(self, where):
        world = self.world
        for (person, record), consent in zip(self.pairs, self.consents, strict=True):
            assert world.agreed(person, record) is False, where
            assert world.judgement(consent) == ("accepted", "RESUBSCRIBED"), where
            assert world.base(person) is False, where
            assert outcomes_of(world, person) == {
                ("store", False): "confirmed", ("salesforce", False): "confirmed",
            }, where  # fmt: skip
        written = saves(world.org) - self.before
        assert written == dict.fromkeys([record for _, record in self.pairs], 1), where
        assert None not in resolutions(world), where


@pytest.mark.timeout(1800)
def test_approved_clears_killed_before_or_after_any_effect_are_made_once(world, tmp_path):
    """No lost clear, no effect twice, audit complete."""
    first = Approved(world, "counted")
    found = boundaries(world, first.work, tmp_path)
    first.is_done_once("not killed")
    for number in chosen(found):
        approved = Approved(world, f"killed {number}")
        run(world, approved.work, tmp_path, number, signal.SIGKILL)
        approved.retry()
        approved.is_done_once(f"killed {found[number]}, number {number}")


class Pushed:
    """An unsubscribe and a consent that a push takes to Salesforce."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.opting_out, self.opting_in = world.pair(False, False), world.pair(True, True)
        pushed(world, f"warm {name}")
        world.work()
        pushed(world, f"warmer {name}")
        self.before = saves(world.org)
        world.unsubscribe(self.opting_out[0])
        self.consent = world.consent(self.opting_in[0])

    def work(self, world):
        pushed(world, self.name)

    def is_done_once(self, where):
        world = self.world
        for (person, record), value in [(self.opting_out, True), (self.opting_in, False)]:
            assert world.agreed(person, record) is value, where
            assert world.base(person) is value, where
            assert settled(world, person)[0] == "closed", where
            assert outcomes_of(world, person)["salesforce", value] == "confirmed", where
        assert world.judgement(self.consent) == ("accepted", "RESUBSCRIBED"), where
        written = saves(world.org) - self.before
        assert written == {self.opting_out[1]: 1, self.opting_in[1]: 1}, where


@pytest.mark.timeout(1800)
def test_a_push_killed_before_or_after_any_effect_is_made_once(world, tmp_path):
    """No lost opt-out, no lost clear, no effect twice, audit complete."""
    world.choose(held_clears_minimum=1_000)
    first = Pushed(world, "counted")
    found = boundaries(world, first.work, tmp_path)
    first.is_done_once("not killed")
    for number in chosen(found):
        work = Pushed(world, f"killed {number}")
        run(world, work.work, tmp_path, number, signal.SIGKILL)
        pushed(world, work.name)
        work.is_done_once(f"killed {found[number]}, number {number}")


# -- asleep, and awake beside what its retry has done


class Night:
    """A night up to some task, with something to do for it."""

    def __init__(self, world, task):
        self.world, self.task = world, task
        self.cleared = world.pair(True, True)
        self.to_salesforce = [world.pair(True, False) for _ in range(2)]
        self.to_store = world.pair(False, True)
        world.consent(self.cleared[0])
        time.sleep(1.1)  # a record says in whole seconds when it was modified
        self.attempt, self.run_id = world.open_night()
        self.rest = list(world.steps(self.run_id))
        while self.rest[0] != task:
            world.steps(self.run_id)[self.rest.pop(0)]()

    def work(self, world):
        world.steps(self.run_id)[self.task]()

    def retry(self):
        for name in self.rest:
            self.world.steps(self.run_id)[name]()
        report(self.world.engine, self.attempt, clock=self.world.clock)

    def state(self):
        """Everything that somebody could read, but for the stamps of records."""
        world = self.world
        tables = (
            "engagement.unsubscribe", "opt_out_sync.link", "opt_out_sync.merge_audit",
            "opt_out_sync.write_attempt", "opt_out_sync.resubscribe_judgement",
        )  # fmt: skip
        rows = {table: sorted(map(str, world.sql(f"SELECT * FROM {table}"))) for table in tables}
        pairs = [self.cleared, *self.to_salesforce, self.to_store]
        return rows | {record: world.in_salesforce(record) for _, record in pairs}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("task", "threshold"),
    [
        ("load.store", 1), ("load.salesforce", 1), ("load.salesforce", 2000), ("load.clears", 1),
        ("close", 1),
    ],
)  # fmt: skip
def test_an_attempt_that_wakes_up_beside_its_retry_changes_nothing(
    world, tmp_path, task, threshold
):
    """Stopped anywhere, and the person opts out again meanwhile: the old attempt clears nobody.

    What was on its way to Salesforce cannot be called back: an opt-out may be sent a second time,
    with the same value; a clear is refused there, because the record was modified.
    """
    world.choose(held_clears_minimum=1_000, bulk_threshold=threshold)
    first, ends = Night(world, task), set()
    found = boundaries(world, first.work, tmp_path)
    first.retry()
    for number in chosen(found):
        where = f"stopped {found[number]}, number {number} of {task}"
        night = Night(world, task)
        before = saves(world.org)
        stopped = run(world, night.work, tmp_path, number, signal.SIGSTOP)
        if not stopped.is_there:  # a job that ends sooner is asked for its state less often
            assert len(stopped.boundaries) <= number, where
            night.retry()
            continue
        night.retry()
        world.org.edit(night.cleared[1], **{FIELD: True})
        state, written = night.state(), saves(world.org)
        ends.add(stopped.wake())
        assert night.state() == state, where
        again = saves(world.org) - written
        assert world.in_salesforce(night.cleared[1]), where
        assert night.cleared[1] not in again, where
        if again:
            assert "before PATCH composite" in found[number], where
            assert set(again) <= {record for _, record in night.to_salesforce}, where
        assert sum((written - before).values()) <= 3, where
    assert FAILED not in ends
    assert ends - {FINISHED}, "some of them woke up in the middle of their work"
