"""How fast pushes are, who waits, and why none is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from include.audit import outbox, pauses
from include.audit.pauses import Pause
from include.store.database import sql_file
from include.store.errors import database_errors

HERE: Final = Path(__file__).parent
NEWEST: Final = 5_000
"""The latency is measured over so many unsubscribes at most, the newest ones."""


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


@database_errors()
def push_health(
    conn: Connection, *, now: datetime, window: timedelta = timedelta(days=7)
) -> PushHealth:
    """Measure the push: latency of the last days, and the backlog."""
    depth, pause = outbox.depth(conn), pauses.current(conn)
    parked: int = conn.execute(text(PARKED)).scalar_one()
    last = conn.execute(text(LAST_RUN)).one_or_none()
    return PushHealth(
        latency=_latency(conn, now - window, now),
        window=window,
        waiting=depth.people,
        parked=parked,
        oldest=depth.oldest,
        failing=depth.failing,
        pause=pause if pause is not None and pause.until > now else None,
        last_run_at=None if last is None else last.closed_at,
        last_airflow_run_id=None if last is None else last.airflow_run_id,
    )


def _latency(conn: Connection, start: datetime, end: datetime) -> Latency:
    values = {"start": start, "end": end, "most": NEWEST}
    row = conn.execute(sql_file(HERE, "push_latency"), values).one()
    return Latency(**row._mapping)


PARKED = "SELECT count(*) FROM opt_out_sync.v_push_outbox WHERE state = 'parked'"
LAST_RUN = """
SELECT closed_at, airflow_run_id FROM opt_out_sync.sync_run
WHERE kind = 'push' AND state = 'closed'
ORDER BY started_at DESC LIMIT 1
"""
