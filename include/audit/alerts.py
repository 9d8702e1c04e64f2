"""What somebody should be told, and what they were told already."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from include.store.errors import database_errors

TOLD_AGAIN: Final = timedelta(hours=24)
"""What lasts is told once a day."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that somebody should know.

    Attributes:
        key: the same while it lasts.
        kind: `absence`, `failed`, `red`, `slow`, `parked` or `brake`.
        since: when it began (UTC).
        sentence: what, and what to do. No person, no address.
    """

    key: str
    kind: str
    since: datetime
    sentence: str


@database_errors()
def due(conn: Connection, now: datetime) -> list[Alert]:
    """Return what somebody should know now, whether or not it was told; the oldest first."""
    rows = conn.execute(text(DUE), {"now": now}).mappings()
    return [Alert(**row) for row in rows]


@database_errors()
def to_tell(conn: Connection, now: datetime) -> list[Alert]:
    """Return what is to be told now; what has ended may be told again when it comes back."""
    values = {"now": now, "told_before": now - TOLD_AGAIN}
    conn.execute(text(END), values)
    return [Alert(**row) for row in conn.execute(text(TO_TELL), values).mappings()]


@database_errors()
def remember(conn: Connection, told: Sequence[Alert], now: datetime) -> None:
    """Note what was told."""
    for alert in told:
        values = {"key": alert.key, "kind": alert.kind, "since": alert.since, "now": now}
        conn.execute(text(REMEMBER), values)


@database_errors()
def is_told_slow(conn: Connection, airflow_run_id: str) -> bool:
    """Tell whether somebody was told that an attempt of an Airflow run takes too long."""
    return bool(conn.execute(text(TOLD_SLOW), {"airflow_run_id": airflow_run_id}).scalar())


DUE = """
SELECT key, kind, since, sentence FROM opt_out_sync.alerts_due(:now) ORDER BY since, key
"""
END = """
UPDATE opt_out_sync.alert AS a SET ended_at = :now
WHERE a.ended_at IS NULL
  AND NOT EXISTS (SELECT FROM opt_out_sync.alerts_due(:now) AS d WHERE d.key = a.key)
"""
TO_TELL = """
SELECT d.key, d.kind, d.since, d.sentence
FROM opt_out_sync.alerts_due(:now) AS d
LEFT JOIN opt_out_sync.alert AS a ON a.key = d.key AND a.ended_at IS NULL
WHERE a.key IS NULL OR a.told_at <= :told_before
ORDER BY d.since, d.key
"""
REMEMBER = """
INSERT INTO opt_out_sync.alert AS a (key, kind, since, told_at)
VALUES (:key, :kind, :since, :now)
ON CONFLICT (key) DO UPDATE
    SET told_at = excluded.told_at, since = excluded.since, kind = excluded.kind, ended_at = NULL
"""
TOLD_SLOW = """
SELECT EXISTS (
    SELECT FROM opt_out_sync.sync_run AS r
    JOIN opt_out_sync.alert AS a ON a.key = 'slow/' || r.id
    WHERE r.airflow_run_id = :airflow_run_id AND r.kind = 'night' AND a.ended_at IS NULL
)
"""
