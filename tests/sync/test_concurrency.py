"""Nights, pushes, replays, approved clears and people in both systems, all at the same time.

People act by a script that a seed decides; the sync's runs take turns as they come. Afterwards all
come to rest, and everybody must be what they said last: no lost opt-out, no lost clear.
"""

import copy
import os
import random
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from upath import UPath

from include.audit.runs import NightAlreadyOpenError, StaleAttemptError
from include.domain.errors import TransientSyncError
from include.domain.values import SalesforceObject
from include.store.database import connect
from include.sync.clock import utc_now
from include.sync.held_clears import ClearsFailedError
from include.sync.preflight import Patience, Trigger, preflight
from include.sync.report import NightFailedError, NightNeedsAttentionError
from tests.sync.pushing import due_now, pushed
from tests.sync.test_held_clears import Question
from tests.sync.test_kill_points import big_org  # noqa: F401  a fixture
from tests.sync.test_night_faults import retried
from tests.sync.world import FIELD, World

SEEDS = range(int(os.environ.get("OPT_OUT_SYNC_SCHEDULES", "2")))
EACH = 3
"""Pairs per kind of person."""


@pytest.fixture
def world(engine, big_org, monkeypatch, tmp_path_factory):  # noqa: F811
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", big_org.airflow_connection)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(big_org.own_ca))
    big_org.reset()
    big_org.track_history(SalesforceObject.CONTACT, FIELD)
    world = World(engine, big_org, UPath(tmp_path_factory.mktemp("staging")))
    world.choose(
        enabled=True, clock_skew_seconds=0, held_clears_minimum=2, held_clears_fraction=0,
        alert_drop_fraction=1, max_open_failures=1_000,
    )  # fmt: skip
    world.confirm_org()
    return world


class Script:
    """What people do, and what each of them has said last."""

    def __init__(self, world: World, chance: random.Random):
        self.world, self.wanted, self._acts = world, {}, []
        self.errors: list[str] = []
        for _ in range(EACH):
            self._people(world, chance)
        chance.shuffle(self._acts)

    def _people(self, world, chance):
        opting_out = world.pair(False, False)
        self._add(opting_out, True, lambda w, p, r: w.unsubscribe(p, at=utc_now()))
        ticked = world.pair(False, False)
        self._add(ticked, True, lambda w, p, r: w.org.edit(r, **{FIELD: True}))
        cleared_by_hand = world.pair(True, True)
        self._add(cleared_by_hand, True, lambda w, p, r: w.org.edit(r, **{FIELD: False}))
        self._add(world.pair(True, True), False, lambda w, p, r: w.consent(p))
        edited = world.pair(True, True)
        self._add(edited, False, lambda w, p, r: w.consent(p))
        for number in range(3):
            self._acts.append((edited, lambda w, p, r, n=number: w.org.edit(r, Title=f"{n}"), None))
        changing = world.pair(True, True)
        self._add(changing, True, self._consent_and_opt_out)
        self._add(world.pair(True, True), False, self._consent_and_be_ticked)
        quiet = chance.random() < 0.5
        self.wanted[world.pair(quiet, quiet)] = quiet

    def _add(self, pair, wanted, act):
        self.wanted[pair] = wanted
        self._acts.append((pair, act, wanted))

    def _consent_and_opt_out(self, world, person, record):
        world.consent(person)
        time.sleep(0.3)
        world.unsubscribe(person, at=utc_now())

    def _consent_and_be_ticked(self, world, person, record):
        """A colleague ticks the box once it was cleared; if it is not in time, nobody does."""
        world.consent(person)
        until = time.monotonic() + 8
        while time.monotonic() < until:
            if not world.in_salesforce(record):
                time.sleep(1.1)  # history counts in whole seconds
                world.org.edit(record, **{FIELD: True})
                self.wanted[person, record] = True
                return
            time.sleep(0.1)

    def play(self, world, chance):
        threads = []
        for pair, act, _ in self._acts:
            time.sleep(chance.uniform(0, 0.4))
            acting = threading.Thread(target=guarded(act, self.errors), args=(world, *pair))
            acting.start()
            threads.append(acting)
        for acting in threads:
            acting.join()


def guarded(work: Callable[..., object], errors: list[str]) -> Callable[..., None]:
    """Let an error in a thread fail the test."""

    def run(*arguments):
        try:
            work(*arguments)
        except BaseException:
            errors.append(traceback.format_exc())
            raise

    return run


# -- the sync's runs, each as Airflow does them


def own(world: World) -> World:
    """The same world for another thread, with connections of its own."""
    other = copy.copy(world)
    other.engine = connect(world.engine.url)
    return other


def one_night(world, kind="night"):
    opened = []
    interval = (utc_now() - timedelta(days=1), utc_now()) if kind == "replay" else None
    name = f"{kind}__{next(world.runs)}"
    trigger = Trigger(name, interval, plan_only=False, kind=kind)
    try:
        sync_run_id = preflight(
            world.engine, world.client(), trigger, clock=utc_now, announce=opened.append,
            patience=Patience(longest=30, night=1.0, replay=0.05),
        )  # fmt: skip
        for step in world.steps(sync_run_id).values():
            retried(step)
    except NightAlreadyOpenError:
        return
    finally:
        if opened:
            with suppress(NightNeedsAttentionError, NightFailedError):
                world.report(opened[-1])


def one_push(world):
    pushed(world, f"push__{next(world.runs)}")
    due_now(world)


def one_approval(world):
    question = Question(world, f"held__{next(world.runs)}")
    if question.found is not None:
        with suppress(NightAlreadyOpenError, ClearsFailedError):
            retried(question.approve)


def over_and_over(work, world, stop, errors):
    mine = own(world)
    while not stop.is_set():
        try:
            work(mine)
        except (TransientSyncError, StaleAttemptError):
            time.sleep(0.1)  # Airflow starts it again
        except BaseException:
            errors.append(traceback.format_exc())
            return
        time.sleep(0.05)
    mine.engine.dispose()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_runs_at_the_same_time_everybody_ends_as_they_said_last(world, seed):
    """No lost opt-out, no lost clear, and every planned write has an outcome."""
    chance = random.Random(seed)
    script = Script(world, chance)
    errors = script.errors
    time.sleep(1.1)  # history counts in whole seconds
    world.night()
    stop = threading.Event()
    actors = [one_night, one_push, one_push, one_approval, lambda w: one_night(w, "replay")]
    threads = [
        threading.Thread(target=over_and_over, args=(actor, world, stop, errors))
        for actor in actors
    ]
    for each in threads:
        each.start()
    try:
        script.play(own(world), chance)
        wait_for_a_replay(world)
    finally:
        stop.set()
        for each in threads:
            each.join()
    assert errors == []
    come_to_rest(world, script)
    closed = world.sql("SELECT DISTINCT kind FROM opt_out_sync.sync_run WHERE state = 'closed'")
    assert {row.kind for row in closed} == {"night", "push", "replay", "held_clears"}
    found = {pair: world.agreed(*pair) for pair in script.wanted}
    assert found == script.wanted
    assert unanswered(world) == []


def wait_for_a_replay(world):
    """On a busy machine a script may end before everything has had its turn."""
    until = time.monotonic() + 120
    query = "SELECT 1 FROM opt_out_sync.sync_run WHERE kind = 'replay' AND state = 'closed'"
    while not world.sql(query) and time.monotonic() < until:
        time.sleep(0.1)


def come_to_rest(world, script):
    """Nobody acts any more; a few runs, as the next days have them."""
    for _ in range(5):
        one_push(world)
        one_night(world)
        one_approval(world)
        if all(world.agreed(*pair) is wanted for pair, wanted in script.wanted.items()):
            return
        time.sleep(1.1)


def unanswered(world):
    """Planned writes of runs that closed which nobody knows the end of."""
    return world.sql(
        "SELECT d.person_id, d.sync_run_id, d.code FROM opt_out_sync.merge_audit AS d "
        "JOIN opt_out_sync.sync_run AS r ON r.id = d.sync_run_id AND r.state = 'closed' "
        "WHERE d.target_salesforce IS NOT NULL AND NOT EXISTS ("
        "  SELECT FROM opt_out_sync.write_attempt AS w WHERE w.sync_run_id = d.sync_run_id "
        "  AND w.person_id = d.person_id AND w.record_id = d.record_id AND w.side = 'salesforce' "
        "  AND w.outcome <> 'applied')"
    )
