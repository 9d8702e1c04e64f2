"""Writes: what became of each planned write. Insert-only; an outcome is a row of its own."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, text

from include.audit.runs import Run, guard
from include.domain.values import Outcome, Side
from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
OUTCOMES = pa.schema(
    [
        ("person_id", pa.int64()),
        ("record_id", pa.string()),
        ("object", pa.string()),
        ("field", pa.string()),
        ("side", pa.string()),
        ("target", pa.bool_()),
        ("outcome", pa.string()),
        ("failure_class", pa.string()),
        ("code", pa.string()),
        ("fix", pa.string()),
        ("job_id", pa.string()),
        ("act_id", pa.int64()),
    ]
)
LATEST_DTYPES = {
    "person_id": "int64",
    "record_id": "str",
    "object": "str",
    "field": "str",
    "target": "bool",
    "outcome": "str",
    "act_id": "Int64",
}

PENDING_DTYPES = {
    "person_id": "int64",
    "record_id": "str",
    "object": "str",
    "field": "str",
    "target": "bool",
    "cause": "str",
}


@database_errors()
def record_outcomes(conn: Connection, run: Run, outcomes: pd.DataFrame, *, now: datetime) -> int:
    """Add outcomes of writes.

    Args:
        conn: in a transaction.
        run: the attempt that wrote.
        outcomes: one row per write and outcome; columns as in `OUTCOMES`, those that are missing
            are null. A failed write needs `failure_class` and `code`.
        now: instant of the outcome, part of each row's key.

    Returns:
        How many rows were added; repeating the call with the same `now` adds none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    values = {"run_id": run.id, "org_id": run.org_id, "now": now}
    with staged(conn, "new_outcome", outcomes, OUTCOMES):
        return conn.execute(sql_file(HERE, "record_outcomes"), values).rowcount


@database_errors()
def rows_with_outcome(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Read the newest outcome of each write of this run to one side.

    Returns:
        One row per person, record and field: `person_id` int64, `record_id`, `object`, `field`
        str, `target` bool, `outcome` str, `act_id` Int64.
    """
    values = {"run_id": run.id, "side": side.value}
    return fetch_frame(conn.execute(sql_file(HERE, "latest_outcomes"), values), LATEST_DTYPES)


def applied(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Read the writes that a side accepted and that nobody has read back yet.

    Returns:
        The rows of `rows_with_outcome` whose newest outcome is `applied`.
    """
    known = rows_with_outcome(conn, run, side)
    return known[known["outcome"] == Outcome.APPLIED.value].reset_index(drop=True)


@database_errors()
def pending_writes(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Read the planned writes of this run to one side that have no outcome yet.

    So a load that was killed goes on where it stopped.

    Returns:
        One row per person, record and field, ordered by record: `person_id` int64, `record_id`,
        `object`, `field` str, `target` bool, `cause` str (the act or field that it carries).
    """
    values = {"run_id": run.id, "side": side.value}
    return fetch_frame(conn.execute(sql_file(HERE, "pending_writes"), values), PENDING_DTYPES)


@database_errors()
def open_failures(conn: Connection, org_id: str) -> int:
    """Count the writes of an org that failed and that nothing has mended since."""
    count: int = conn.execute(text(OPEN_FAILURES), {"org_id": org_id}).scalar_one()
    return count


OPEN_FAILURES = "SELECT count(*) FROM opt_out_sync.v_open_failures WHERE org_id = :org_id"
