"""Links: the last value both sides of a person and a record agreed on."""

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from include.audit.runs import Run, guard
from include.store.bulk import snapshot, staged, to_pandas
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
GONE_AFTER = timedelta(days=30)
VISIBILITY = pa.schema(
    [
        ("person_id", pa.int64()),
        ("record_id", pa.string()),
        ("object", pa.string()),
        ("is_visible", pa.bool_()),
        ("is_deleted", pa.bool_()),
    ]
)


def read_links(engine: Engine, org_id: str, field: str) -> pd.DataFrame:
    """Read every link of one org and field at one instant.

    Returns:
        One row per link, Arrow-backed: `person_id` int64, `record_id` string, `base` bool (null:
        unknown), `state` string (active, gone, retired), `is_visible` bool.
    """
    parameters = {"org_id": org_id, "field": field}
    with database_errors(), snapshot(engine, parameters) as database:
        return to_pandas(database.read(HERE, "links"))


@database_errors()
def move_bases(conn: Connection, run: Run, *, now: datetime) -> int:
    """Move the base of each decided link that was seen or made to agree; add links first seen.

    A base moves where nothing was planned, or where every planned write of the decision has the
    outcome `confirmed`. A run that only plans moves nothing; repeating the call neither.

    Returns:
        How many bases moved.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if run.plan_only:
        return 0
    moved: int = conn.execute(
        sql_file(HERE, "move_bases"), {"run_id": run.id, "now": now}
    ).scalar_one()
    return moved


@database_errors()
def record_visibility(conn: Connection, run: Run, changes: pd.DataFrame, *, now: datetime) -> int:
    """Remember which links' records were returned, deleted or not in the answer.

    Also ends links whose record has not been visible for 30 days.

    Args:
        conn: in a transaction.
        run: its org and opt-out field say which links are meant.
        changes: one row per person and record: `person_id`, `record_id`, `object`, `is_visible`,
            `is_deleted`. Links not yet known are added, with an unknown base.
        now: of the observation.

    Returns:
        How many links changed; repeating the call changes none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    values = {"org_id": run.org_id, "field": run.settings.settings.opt_out_field, "now": now}
    with staged(conn, "changed_visibility", changes, VISIBILITY):
        seen: int = conn.execute(sql_file(HERE, "record_visibility"), values).scalar_one()
    gone = conn.execute(text(GONE), values | {"before": now - GONE_AFTER})
    return seen + gone.rowcount


GONE = """
UPDATE opt_out_sync.link SET state = 'gone'
WHERE org_id = :org_id AND field = :field AND state = 'active' AND not_visible_since <= :before
"""
