"""The outbox: whom the push has to look at, who claimed them, and what became of it.

A row says "person P changed", never a value: whatever is sent is what is true when it is sent. So a
late retry of an old change cannot undo a newer one, and a change seen twice has one effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, text

from include.audit.runs import Run, guard
from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
CLAIMED = {
    "person_id": "int64",
    "version": "int64",
    "attempts": "int64",
    "marked_at": "datetime64[us, UTC]",
    "code": "str",
}
SETTLED = pa.schema(
    [
        ("person_id", pa.int64()),
        ("version", pa.int64()),
        ("state", pa.string()),
        ("next_attempt_at", pa.timestamp("us", "UTC")),
        ("failure_class", pa.string()),
        ("code", pa.string()),
        ("fix", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Depth:
    """How many people wait for the push, how long the first of them, and how many by class."""

    people: int
    oldest: timedelta | None
    failing: dict[str, int]


@database_errors()
def claim(conn: Connection, run: Run, *, most: int, now: datetime) -> pd.DataFrame:
    """Take people who are due, so that no other push looks at them.

    Args:
        conn: in a transaction of its own: a claim must be seen before anything is read for it.
        run: that takes them.
        most: how many.
        now: when.

    Returns:
        One row per person: `person_id`, `version` (to settle it by), `attempts` (that failed since
        they wait) int64, `marked_at` (UTC, since when they wait), `code` str (of the last failure).

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    # Lost with the server, a claim was never made: the work after it commits for itself.
    conn.execute(text("SET LOCAL synchronous_commit = off"))
    guard(conn, run, now=now)
    conn.execute(sql_file(HERE, "fold_signals"), {"most": most, "now": now})
    values = {"run_id": run.id, "most": most, "now": now}
    return fetch_frame(conn.execute(sql_file(HERE, "claim"), values), CLAIMED)


@database_errors()
def claim_number(conn: Connection) -> int:
    """Return a number that no other claim has."""
    number: int = conn.execute(text("SELECT nextval('opt_out_sync.push_claim')")).scalar_one()
    return number


@database_errors()
def settle(conn: Connection, run: Run, settled: pd.DataFrame, *, now: datetime) -> int:
    """Say what became of claimed people, in the transaction of the effect.

    Args:
        conn: in a transaction.
        run: that claimed them.
        settled: one row per person: `person_id`, `version` (as claimed), `state` (closed, waiting
            or parked), `next_attempt_at` (UTC; of a closed one ignored), and why: `failure_class`
            (null: nothing failed), `code`, `fix`.
        now: when.

    Returns:
        How many were settled. Who is not claimed by this run any more is left alone; who changed
        since the claim waits again at once. Repeating the call settles nobody.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    with staged(conn, "settled", settled, SETTLED):
        return conn.execute(sql_file(HERE, "settle"), {"run_id": run.id, "now": now}).rowcount


@database_errors()
def forget(conn: Connection, run: Run, person_ids: Iterable[int], *, now: datetime) -> int:
    """Drop claimed people who are gone from the store.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    values = {"run_id": run.id, "people": [int(each) for each in person_ids]}
    return conn.execute(text(FORGET), values).rowcount


@database_errors()
def release(conn: Connection, run: Run, *, now: datetime) -> int:
    """Put back whom a run has claimed and not settled; returns how many."""
    return conn.execute(text(RELEASE), {"run_id": run.id, "now": now}).rowcount


@database_errors()
def release_dead(conn: Connection, *, now: datetime) -> int:
    """Put back whom runs have claimed that were killed; returns how many people."""
    return conn.execute(sql_file(HERE, "release_dead_claims"), {"now": now}).rowcount


@database_errors()
def claimed_by_others(conn: Connection, run: Run, person_ids: Iterable[int]) -> list[int]:
    """Name those of these people whom another run is looking at."""
    values = {"run_id": run.id, "people": [int(each) for each in person_ids]}
    return list(conn.execute(text(OTHERS), values).scalars())


@database_errors()
def signal_unjudged(conn: Connection, *, since: datetime) -> int:
    """Mark people whose consent was recorded after `since` and nothing has judged; returns them."""
    return conn.execute(sql_file(HERE, "signal_unjudged"), {"since": since}).rowcount


@database_errors()
def due_in(conn: Connection) -> timedelta | None:
    """Tell when there is something to push, by the database's clock.

    Returns:
        None: nothing waits, or the sync is paused. Zero: now.
    """
    row = conn.execute(sql_file(HERE, "push_due")).one()
    return None if row.due_in is None else timedelta(seconds=max(0.0, float(row.due_in)))


@database_errors()
def depth(conn: Connection) -> Depth:
    """Count who waits, by the database's clock."""
    row = conn.execute(text(DEPTH)).one()
    failing = conn.execute(text(FAILING)).all()
    return Depth(row.people, row.oldest, {each.failure_class: each.people for each in failing})


FORGET = """
DELETE FROM opt_out_sync.push_outbox WHERE claimed_by = :run_id AND person_id = ANY (:people)
"""
RELEASE = """
UPDATE opt_out_sync.push_outbox
SET state = 'waiting', claimed_by = NULL, next_attempt_at = least(next_attempt_at, :now)
WHERE claimed_by = :run_id
"""
OTHERS = """
SELECT person_id FROM opt_out_sync.push_outbox
WHERE person_id = ANY (:people) AND state = 'claimed' AND claimed_by <> :run_id
"""
DEPTH = """
SELECT count(*) AS people, clock_timestamp() - min(marked_at) AS oldest
FROM opt_out_sync.v_push_outbox
"""
FAILING = """
SELECT failure_class, count(*) AS people FROM opt_out_sync.v_push_outbox
WHERE failure_class IS NOT NULL GROUP BY failure_class ORDER BY failure_class
"""
