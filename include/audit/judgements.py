"""Judgements: what became of each resubscribe. Insert-only; the newest row of an act counts."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection

from include.audit.runs import Run, guard
from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file
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
JUDGED_DTYPES = {"act_id": "int64", "is_refused": "bool", "was_held": "bool"}
_NOBODY = pd.DataFrame(columns=list(JUDGED_DTYPES)).astype(JUDGED_DTYPES)


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
    if judged.empty:
        return 0
    with staged(conn, "new_judgement", judged, JUDGEMENTS):
        values = {"run_id": run.id, "now": now}
        return conn.execute(sql_file(HERE, "record_judgements"), values).rowcount


@database_errors()
def judged_before(conn: Connection, act_ids: Iterable[int] | None = None) -> pd.DataFrame:
    """Read what earlier runs said of resubscribes that matters to the next one.

    Args:
        conn: in a transaction.
        act_ids: of the resubscribes; None: all.

    Returns:
        One row per act: `act_id` int64, `is_refused` bool (last: it is not judged again),
        `was_held` bool (a brake stopped it when it was judged good: it does not expire).
    """
    acts = [int(each) for each in act_ids or ()]
    if act_ids is not None and not acts:
        return _NOBODY
    values = {"everybodys": act_ids is None, "acts": acts}
    return fetch_frame(conn.execute(sql_file(HERE, "judged_before"), values), JUDGED_DTYPES)
