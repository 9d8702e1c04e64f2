"""The push: drain the outbox until it has been idle for a while.

A task that starts costs a second; an act that arrives while one is there costs milliseconds. So a
push lingers, and a busy hour pays for one start.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import pandas as pd
from sqlalchemy import Engine

from include.audit import outbox, pauses, runs, settings, waiting
from include.domain.errors import OptOutSyncError, PermanentSyncError
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import FieldNotVisibleError
from include.store.database import transaction
from include.store.errors import StoreUnavailableError
from include.store.listen import Listener
from include.sync.choices import ChoicesChangedError
from include.sync.clock import Clock
from include.sync.push.access import describe_access, open_push
from include.sync.push.batch import Done, push_batch
from include.sync.push.metrics import NOWHERE, Meter, Metrics
from include.sync.push.trouble import PASSING, pause_after, slow_down
from include.sync.push.work import Work

log = logging.getLogger(__name__)

AT_ONCE: Final = 2_000
"""People per batch: as many as are read in one request, and written in ten."""

CAREFULLY: Final = 200
"""People per batch while the last one failed."""

NOW: Final = timedelta(0)
_LOOK_AGAIN: Final = timedelta(seconds=60)
"""When the outbox is looked at although nobody said anything."""

_BREATH: Final = timedelta(milliseconds=50)
_DATABASE_RETURNS: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a push stays.

    Attributes:
        linger: how long the outbox must be idle before a push ends.
        longest: how long a push runs at most; the next one goes on.
    """

    linger: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(minutes=10)


def push(
    engine: Engine,
    client: SalesforceClient,
    airflow_run_id: str,
    *,
    clock: Clock,
    patience: Patience = Patience(),
    spread: Callable[[], float] = random.random,  # noqa: S311  no secret
    metrics: Metrics = NOWHERE,
) -> dict[str, Any]:
    """Bring to Salesforce what changed in the store, until nothing has changed for a while.

    Any number of pushes may run at once: nobody is looked at by two. Killed anywhere, it loses
    nothing: whoever it had not settled is looked at again.

    Args:
        engine: the store.
        client: Salesforce; not asked while nothing waits.
        airflow_run_id: names the run in Airflow; a repeated run is the next attempt.
        clock: tells the time.
        patience: how long to stay.
        spread: a number from 0 to 1, by chance.
        metrics: where numbers go while it works.

    Returns:
        Counts: `batches`, `people` (looked at), `pushed` and `cleared` (boxes), `failed` (people,
        by failure class).

    Raises:
        PermanentSyncError: a person must look (login, org, a refused request); pushes pause.
        StoreUnavailableError: the database was lost and did not come back.
    """
    meter = Meter(engine, metrics)
    drain = _Drain(engine, client, airflow_run_id, clock, patience, spread, meter)
    try:
        drain.run()
    finally:
        meter.tell()
    counts = meter.counts.as_dict()
    log.info("Pushed: %s", counts)
    return counts


class _Drain:
    """One push from its first look at the outbox to its last."""

    def __init__(
        self,
        engine: Engine,
        client: SalesforceClient,
        airflow_run_id: str,
        clock: Clock,
        patience: Patience,
        spread: Callable[[], float],
        meter: Meter,
    ) -> None:
        self._engine = engine
        self._client = client
        self._airflow_run_id = airflow_run_id
        self._clock = clock
        self._patience = patience
        self._spread = spread
        self._work: Work | None = None
        self._has_trouble = False
        self._is_paused = False
        self._meter = meter

    def run(self) -> None:
        """Work until there is nothing to do for as long as patience says."""
        until = self._clock() + self._patience.longest
        try:
            while not self._drained(until):
                self._wait_for_the_database()
        except ChoicesChangedError as changed:
            log.info("%s", changed)
        except StoreUnavailableError:
            raise  # the next push finds what this one had claimed
        except OptOutSyncError as error:
            self._end(str(error))
            raise
        self._end(None)

    def _drained(self, until: datetime) -> bool:
        """Work until there is nothing to do; returns false if the database was lost meanwhile."""
        try:
            self._tidy()
            with Listener(self._engine, waiting.CHANNEL) as listener:
                self._drain(listener, until)
        except StoreUnavailableError as error:
            log.warning("Waiting for the database: %s", error)
            return False
        return True

    def _drain(self, listener: Listener, until: datetime) -> None:
        idle_since = self._clock()
        while self._clock() < until:
            with transaction(self._engine) as conn:
                due = outbox.due_in(conn)
            if due == NOW and self._one_batch():
                idle_since = self._clock()
            elif not self._wait(listener, idle_since, due):
                return

    def _wait(self, listener: Listener, idle_since: datetime, due: timedelta | None) -> bool:
        """Wait for something to do; returns false once the outbox was idle for long enough."""
        left = idle_since + self._patience.linger - self._clock()
        if left <= NOW:
            return False
        longest = min(left, _LOOK_AGAIN, _LOOK_AGAIN if due is None else due)
        listener.wait(max(longest, _BREATH).total_seconds())
        return True

    def _tidy(self) -> None:
        """Free what killed pushes had claimed, and mark consents that nothing has judged."""
        with transaction(self._engine) as conn:
            now = self._clock()
            if self._work is None:
                runs.replace_attempt(conn, "push", self._airflow_run_id, now=now)
            else:
                outbox.release(conn, self._work.run, now=now)
            freed = outbox.release_dead(conn, now=now)
            chosen = settings.current(conn).settings
            marked = 0
            if chosen.enabled and not chosen.paused:
                waits = timedelta(days=chosen.evidence_days)
                marked = outbox.signal_unjudged(conn, since=now - waits)
            self._is_paused = pauses.current(conn) is not None
        if freed or marked:
            log.warning("Put back %d people of a killed push, marked %d consents", freed, marked)

    def _one_batch(self) -> bool:
        """Work on who is due; returns whether anybody was."""
        try:
            work = self._opened()
            claimed, claim = self._claim(work)
            if claimed.empty:
                return False
            done = self._push(work, claimed, claim)
        except PASSING as error:  # before anything was claimed
            self._pause(error)
            return False
        except ChoicesChangedError:
            raise
        except PermanentSyncError as error:
            self._pause(error)
            raise
        self._meter.count(done)
        self._after(work, done)
        return True

    def _opened(self) -> Work:
        """Return what to work with; the first one who is due opens the run."""
        if self._work is None:
            run, access = open_push(
                self._engine, self._client, self._airflow_run_id, clock=self._clock
            )
            self._work = Work(
                engine=self._engine,
                client=self._client,
                run=run,
                is_enabled=run.settings.settings.enabled,
                access=access,
                clock=self._clock,
                spread=self._spread,
            )
        return self._work

    def _claim(self, work: Work) -> tuple[pd.DataFrame, int]:
        most = CAREFULLY if self._has_trouble else AT_ONCE
        with transaction(self._engine) as conn:
            claimed = outbox.claim(conn, work.run, most=most, now=self._clock())
            return claimed, outbox.claim_number(conn)

    def _push(self, work: Work, claimed: pd.DataFrame, claim: int) -> Done:
        """Push a batch; a field that was taken away is found out, and the rest goes on."""
        try:
            return push_batch(work, claimed, claim, pause=self._pause)
        except FieldNotVisibleError:
            access = describe_access(self._engine, self._client, work.run, self._clock)
            if access.fields == work.access.fields:
                raise
            self._work = replace(work, access=access)
            return push_batch(self._work, claimed, claim, pause=self._pause)

    def _pause(self, error: OptOutSyncError) -> datetime:
        pause = pause_after(self._engine, error, now=self._clock(), spread=self._spread())
        self._is_paused = True
        log.warning("Nothing is pushed before %s: %s", pause.until.isoformat(), pause.reason)
        return pause.until

    def _after(self, work: Work, done: Done) -> None:
        """End a pause that is over; slow down while the org's requests run low."""
        self._has_trouble = done.interrupted is not None
        if self._has_trouble:
            return
        reserve = work.run.settings.settings.api_reserve
        slower = slow_down(self._engine, work.client.known_budget, reserve, now=self._clock())
        if slower is not None:
            log.warning("%s", slower.reason)
        elif self._is_paused:
            with transaction(self._engine) as conn:
                pauses.end(conn)
            log.info("Pushes go on")
        self._is_paused = slower is not None

    def _end(self, reason: str | None) -> None:
        """Close the run; whom it had claimed and not settled waits for the next one."""
        if self._work is None:
            return
        run, now = self._work.run, self._clock()
        with transaction(self._engine) as conn:
            outbox.release(conn, run, now=now)
            if reason is None:
                runs.close(conn, run, self._meter.counts.as_dict(), now=now)
        if reason is not None:
            runs.fail(self._engine, run.id, reason, now=now)

    def _wait_for_the_database(self) -> None:
        """Wait until the database answers again.

        Raises:
            StoreUnavailableError: it did not in time.
        """
        deadline = time.monotonic() + _DATABASE_RETURNS.total_seconds()
        while True:
            try:
                with transaction(self._engine):
                    return
            except StoreUnavailableError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_BREATH.total_seconds())
