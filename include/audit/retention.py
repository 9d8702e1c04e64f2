"""How long the audit keeps everything: what is older keeps only what proves something.

The setting `audit_keep_months` (0, the default: keep everything) says after how many months a month
of the audit is thinned. What took effect, and every decision in which somebody was opted out, stays
for ever; migration 0013 and docs/adr/0021 say what does not, and why no decision depends on it.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Engine, text

from include.store.database import transaction
from include.store.errors import StoreBusyError, database_errors

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Month:
    """A month (UTC) of one audit table: `merge_audit` or `write_attempt`."""

    audit_table: str
    month: date


@dataclass(frozen=True, slots=True)
class Thinned:
    """A month that was thinned: by whom, when, and how many rows are left of it."""

    audit_table: str
    month: date
    thinned_at: datetime
    thinned_by: str
    settings_version: int
    keep_months: int
    rows_before: int
    rows_kept: int


@dataclass(frozen=True, slots=True)
class Partition:
    """What a part of the audit takes on disk; `rows` is an estimate, None: never counted."""

    name: str
    rows: int | None
    table_bytes: int
    index_bytes: int


@database_errors()
def due(conn: Connection, *, now: datetime) -> list[Month]:
    """Return the months that may be thinned now, the oldest first; none while the setting is 0."""
    return [Month(**row) for row in conn.execute(text(DUE), {"now": now}).mappings()]


@database_errors()
def history(conn: Connection) -> list[Thinned]:
    """Return the months that were thinned, the newest first."""
    return [Thinned(**row) for row in conn.execute(text(HISTORY)).mappings()]


@database_errors()
def partitions(conn: Connection) -> list[Partition]:
    """Return the parts of the audit by name: a month each, and what no month was made for."""
    return [Partition(**row) for row in conn.execute(text(PARTITIONS)).mappings()]


def thin(engine: Engine, month: Month, *, by: str, now: datetime) -> Thinned | None:
    """Thin one month in a transaction of its own.

    Whoever reads the audit waits for some milliseconds, not for the copying. Repeating the call
    does nothing, and a call that was killed has done nothing.

    Args:
        engine: the store.
        month: one of `due`.
        by: who asked for it; it stays in the table `audit_thinning`.
        now: the database's clock.

    Returns:
        What was done; None: the month is not due (any more).

    Raises:
        StoreBusyError: somebody used the audit for too long: try again later.
    """
    values = {"audited": month.audit_table, "month": month.month, "by": by, "now": now}
    with transaction(engine) as conn:
        if conn.execute(text(THIN), values).one_or_none() is None:
            return None
        done = next(each for each in history(conn) if Month(each.audit_table, each.month) == month)
    log.info(
        "Thinned %s of %s: %d of %d rows are kept",
        done.audit_table,
        f"{done.month:%Y-%m}",
        done.rows_kept,
        done.rows_before,
    )
    return done


def thin_tonight(engine: Engine, *, by: str, now: datetime) -> list[Thinned]:
    """Thin the oldest month that is due, of both tables; the next night does the next.

    An audit that is in use is left for the next night.
    """
    with transaction(engine) as conn:
        months = due(conn, now=now)
    done = []
    for month in [each for each in months if each.month == months[0].month]:
        try:
            done.append(thin(engine, month, by=by, now=now))
        except StoreBusyError:
            log.warning(
                "The audit is in use: %s of %s is thinned after another night",
                month.audit_table,
                f"{month.month:%Y-%m}",
            )
    return [each for each in done if each is not None]


DUE = "SELECT audit_table, month FROM opt_out_sync.audit_months_due(:now)"
HISTORY = """
SELECT audit_table, month, thinned_at, thinned_by, settings_version, keep_months, rows_before,
       rows_kept
FROM opt_out_sync.audit_thinning ORDER BY id DESC
"""
PARTITIONS = """
SELECT child.relname AS name, CAST(nullif(child.reltuples, -1) AS bigint) AS rows,
       pg_table_size(child.oid) AS table_bytes, pg_indexes_size(child.oid) AS index_bytes
FROM pg_inherits AS i
JOIN pg_class AS child ON child.oid = i.inhrelid
WHERE i.inhparent IN ('opt_out_sync.merge_audit'::regclass, 'opt_out_sync.write_attempt'::regclass)
ORDER BY child.relname
"""
THIN = "SELECT * FROM opt_out_sync.thin_audit_month(:audited, :month, :by, :now)"
