"""Held clears: clears that wait for a person, and what became of them."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, text

from include.audit.runs import Run, guard
from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
Resolution = Literal["cleared", "rejected", "timed_out", "superseded"]
CLEARS = pa.schema(
    [
        ("person_id", pa.int64()),
        ("record_id", pa.string()),
        ("object", pa.string()),
        ("field", pa.string()),
        ("evidence_id", pa.int64()),
    ]
)
HELD_DTYPES = {
    "person_id": "int64",
    "record_id": "str",
    "object": "str",
    "field": "str",
    "evidence_id": "Int64",
    "code": "str",
    "held_at": "datetime64[us, UTC]",
}


@database_errors()
def hold(conn: Connection, run: Run, clears: pd.DataFrame, *, now: datetime) -> int:
    """Remember clears that wait for a person; one that waits already keeps its age.

    Args:
        conn: in a transaction.
        run: that planned them; its org must be known.
        clears: one row per clear: `person_id`, `record_id`, `object`, `field` (null without a
            record), `evidence_id` (null under `changed_side`). Other columns are ignored.
        now: since when.

    Returns:
        How many are new.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    values = {"run_id": run.id, "org_id": run.org_id, "now": now}
    with staged(conn, "new_held", clears[CLEARS.names], CLEARS):
        return conn.execute(sql_file(HERE, "hold"), values).rowcount


@database_errors()
def open_held(conn: Connection, org_id: str) -> pd.DataFrame:
    """Read what waits for a person, oldest first.

    Returns:
        One row per clear: `person_id` int64, `record_id`, `object`, `field` str (null without a
        record), `evidence_id` Int64, `code` str (of the decision that was held), `held_at` (UTC).
    """
    return fetch_frame(conn.execute(sql_file(HERE, "open_held"), {"org_id": org_id}), HELD_DTYPES)


@database_errors()
def resolve(
    conn: Connection, run: Run, clears: pd.DataFrame, resolution: Resolution, *, now: datetime
) -> int:
    """Say what became of held clears; those that were not held, or are resolved, stay as they are.

    Args:
        conn: in a transaction.
        run: that resolved them.
        clears: one row per clear: `person_id`, `record_id`, `field`. Other columns are ignored.
        resolution: what became of them.
        now: when.

    Returns:
        How many were resolved; repeating the call resolves none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    wanted = clears[["person_id", "record_id", "field"]].drop_duplicates()
    values = {"run_id": run.id, "org_id": run.org_id, "now": now, "resolution": resolution}
    with staged(conn, "resolved_held", wanted, CLEARS):
        return conn.execute(sql_file(HERE, "resolve_held"), values).rowcount


@database_errors()
def count_open(conn: Connection, org_id: str) -> int:
    """Count what waits for a person."""
    count: int = conn.execute(text(COUNT), {"org_id": org_id}).scalar_one()
    return count


COUNT = "SELECT count(*) FROM opt_out_sync.held_clear WHERE org_id = :org_id AND resolution IS NULL"
