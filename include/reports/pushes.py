"""How fast pushes are, who waits, and why none is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from include.audit.pauses import Pause


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from an unsubscribe until it was seen in Salesforce; None: nothing was pushed."""

    people: int
    median: float | None
    p95: float | None
    p99: float | None
    worst: float | None


@dataclass(frozen=True, slots=True)
class PushHealth:
    """The push, now.

    Attributes:
        latency: of what was pushed in the last `window`.
        window: how far back the latency looks.
        waiting: people in the outbox, whatever their state.
        parked: of these, people of whom somebody has to mend something first.
        oldest: how long the first of them has waited; None: nobody waits.
        failing: people by failure class.
        pause: why no push is made at the moment; None: nothing is in the way.
        last_run_at: when a push last ended (UTC).
        last_airflow_run_id: of that run.
    """

    latency: Latency
    window: timedelta
    waiting: int
    parked: int
    oldest: timedelta | None
    failing: Mapping[str, int]
    pause: Pause | None
    last_run_at: datetime | None
    last_airflow_run_id: str | None


def push_health(
    conn: Connection, *, now: datetime, window: timedelta = timedelta(days=7)
) -> PushHealth:
    """Measure the push: latency of the last days, and the backlog."""
    raise NotImplementedError
