"""The numbers of a push, for its run and for whoever watches it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Engine

from include.audit import outbox
from include.domain.values import FailureClass
from include.store.database import transaction
from include.store.errors import StoreUnavailableError
from include.sync.push.batch import Done

TELL_EVERY: Final = 10.0
"""Seconds; so a long push is seen while it works."""


@dataclass(slots=True)
class Counts:
    """What a push did: numbers only."""

    batches: int = 0
    people: int = 0
    pushed: int = 0
    cleared: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, done: Done) -> None:
        """Count a batch."""
        self.batches += 1
        self.people += done.people
        self.pushed += done.pushed
        self.cleared += done.cleared
        self.failed.update(done.failed)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {**asdict(replace(self, failed=Counter())), "failed": dict(self.failed)}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where numbers go: to Airflow's own metrics, in production.

    Attributes:
        gauge: takes a name and what is true now.
        count: takes a name and how many more there are.
    """

    gauge: Callable[[str, float], None]
    count: Callable[[str, int], None]


def _nothing(_name: str, _value: float) -> None:
    """Nobody watches."""


NOWHERE: Final = Metrics(_nothing, _nothing)


class Meter:
    """Counts what a push does, and tells it now and then.

    Gauges: `opt_out_sync.push.waiting` (people), `opt_out_sync.push.oldest_seconds`. Counters:
    `opt_out_sync.push.pushed` and `.cleared` (boxes), `opt_out_sync.push.failed.CLASS` (people).
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self.counts = Counts()
        self._engine = engine
        self._metrics = metrics
        self._untold = Counts()
        self._told_at = time.monotonic()

    def count(self, done: Done) -> None:
        """Count a batch; tell it, if the last time was a while ago."""
        self.counts.add(done)
        self._untold.add(done)
        if time.monotonic() - self._told_at > TELL_EVERY:
            self.tell()

    def tell(self) -> None:
        """Tell how many wait now, and what was done since the last time.

        While the store cannot be reached, who waits is not known, and not told.
        """
        untold, self._untold, self._told_at = self._untold, Counts(), time.monotonic()
        self._metrics.count("opt_out_sync.push.pushed", untold.pushed)
        self._metrics.count("opt_out_sync.push.cleared", untold.cleared)
        for each in FailureClass:
            self._metrics.count(f"opt_out_sync.push.failed.{each}", untold.failed[each])
        if self._metrics is not NOWHERE:
            self._tell_depth()

    def _tell_depth(self) -> None:
        try:
            with transaction(self._engine) as conn:
                depth = outbox.depth(conn)
        except StoreUnavailableError:
            return  # the push fails because of it, or goes on when the store is back
        self._metrics.gauge("opt_out_sync.push.waiting", depth.people)
        oldest = 0.0 if depth.oldest is None else depth.oldest.total_seconds()
        self._metrics.gauge("opt_out_sync.push.oldest_seconds", oldest)
