"""Judgements: what became of each resubscribe. Insert-only; the newest row of an act counts."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from include.audit.runs import Run, guard
from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file, transaction
from include.store.errors import database_errors

HERE = Path(__file__).parent
JUDGEMENTS = pa.schema(
    [
        ("act_id", pa.int64()),
        ("person_id", pa.int64()),
        ("verdict", pa.string()),
        ("code", pa.string()),
        ("reason", pa.string()),
        ("in_the_way", pa.string()),
        ("retry_after", pa.timestamp("us", "UTC")),
    ]
)
FINAL_DTYPES = {"act_id": "int64", "verdict": "str"}


@database_errors()
def record_judgements(conn: Connection, run: Run, judged: pd.DataFrame, *, now: datetime) -> int:
    """Add judgements that say something new of their act.

    Args:
        conn: in a transaction.
        run: the attempt that judged.
        judged: one row per act: `act_id`, `person_id`, `verdict` (accepted, refused, waiting or
            held), `code`, `reason`, `in_the_way` (null: nothing), `retry_after` (UTC, null: no time
            helps).
        now: instant of the judgement.

    Returns:
        How many rows were added; what the newest row of an act says already is not added again.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    with staged(conn, "new_judgement", judged, JUDGEMENTS):
        values = {"run_id": run.id, "now": now}
        return conn.execute(sql_file(HERE, "record_judgements"), values).rowcount


@database_errors()
def read_final(engine: Engine) -> pd.DataFrame:
    """Read which resubscribes were refused: they are not judged again.

    Returns:
        One row per refused act: `act_id` int64, `verdict` str.
    """
    with transaction(engine) as conn:
        return fetch_frame(conn.execute(sql_file(HERE, "refused")), FINAL_DTYPES)


@database_errors()
def refused_of(conn: Connection, act_ids: Iterable[int]) -> list[int]:
    """Name those of some resubscribes that were refused: they are not judged again."""
    values = {"acts": [int(each) for each in act_ids]}
    return list(conn.execute(text(REFUSED), values).scalars())


REFUSED = """
SELECT act_id
FROM (
    SELECT DISTINCT ON (act_id) act_id, verdict
    FROM opt_out_sync.resubscribe_judgement
    WHERE act_id = ANY (CAST(:acts AS bigint[]))
    ORDER BY act_id, id DESC
) AS newest
WHERE verdict = 'refused'
"""
