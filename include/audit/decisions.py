"""Decisions: why each link was left alone or written. Insert-only."""

import io
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
from sqlalchemy import Connection, Engine, text

from include.audit.runs import Run, guard
from include.store.bulk import fetch_frame, snapshot, staged
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
TIME = pa.timestamp("us", "UTC")
DECISIONS = pa.schema(
    [
        ("person_id", pa.int64()),
        ("record_id", pa.string()),
        ("object", pa.string()),
        ("field", pa.string()),
        ("base", pa.bool_()),
        ("store_is_opted_out", pa.bool_()),
        ("salesforce_is_opted_out", pa.bool_()),
        ("store_opted_out_at", TIME),
        ("store_origin", pa.string()),
        ("salesforce_modified_at", TIME),
        ("salesforce_modified_by", pa.string()),
        ("target_store", pa.bool_()),
        ("target_salesforce", pa.bool_()),
        ("new_base", pa.bool_()),
        ("rule", pa.string()),
        ("code", pa.string()),
        ("cause", pa.string()),
        ("reason", pa.string()),
        ("base_since", TIME),
        ("store_act_id", pa.int64()),
        ("salesforce_opted_out_after", TIME),
        ("salesforce_opted_out_before", TIME),
        ("salesforce_time_source", pa.string()),
        ("evidence_id", pa.int64()),
        ("shared_with", pa.int64()),
        ("account_id", pa.string()),
    ]
)
UNLINKED = pa.schema(
    [("person_id", pa.int64()), ("salesforce_id", pa.string()), ("code", pa.string())]
)
UNLINKED_DTYPES = {"person_id": "int64", "salesforce_id": "str", "code": "str"}


@database_errors()
def record_decisions(conn: Connection, run: Run, decisions: pd.DataFrame, *, now: datetime) -> int:
    """Add the decisions of a run to the merge audit.

    Args:
        conn: in a transaction.
        run: the attempt that decided; its org must be known.
        decisions: one row per link, or per person without one (`record_id`, `object` and `field`
            null). Columns as in `DECISIONS`; those that are missing are null. `target_store` and
            `target_salesforce` are null where nothing is to be written, `new_base` where the
            base stays. An opt-out in Salesforce happened after `salesforce_opted_out_after` (null:
            unknown) and not after `salesforce_opted_out_before`; `salesforce_time_source` says how
            that is known. `evidence_id` is the act that ends the opt-out, `shared_with` the person
            whose opt-out keeps this one, `account_id` where a person account is written.
        now: instant of the decision, part of each row's key.

    Returns:
        How many rows were added; repeating the call with the same `now` adds none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if decisions.empty:
        return 0
    values = {"run_id": run.id, "org_id": run.org_id, "now": now}
    with staged(conn, "new_decision", decisions, DECISIONS):
        return conn.execute(sql_file(HERE, "record_decisions"), values).rowcount


def recorded(engine: Engine, run_id: int) -> pa.Table:
    """Return the decisions of a run as they were recorded: the columns and types of `DECISIONS`."""
    with database_errors(), snapshot(engine, {"run_id": str(run_id)}) as database:
        return (
            database.read(HERE, "decisions_of_run").table().select(DECISIONS.names).cast(DECISIONS)
        )


def as_text(decided: pa.Table) -> bytes:
    """Return decisions in the one form in which they are compared.

    Args:
        decided: one row per link, or per person without one: `DECISIONS`.

    Returns:
        CSV with a header, ordered by person, record and field; the same decisions are the same
        bytes, in whatever order they come.
    """
    keys = [("person_id", "ascending"), ("record_id", "ascending"), ("field", "ascending")]
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(decided.sort_by(keys), buffer)
    return buffer.getvalue()


@database_errors()
def record_unlinked(
    conn: Connection, run: Run, unlinked: pd.DataFrame, *, now: datetime, is_complete: bool = True
) -> pd.DataFrame:
    """Replace the list of people whose opt-out cannot reach Salesforce.

    Args:
        conn: in a transaction.
        run: the attempt that saw them.
        unlinked: one row per person: `person_id`, `salesforce_id` (null: none), `code`.
        now: instant of the observation.
        is_complete: false where part of Salesforce could not be read: then nobody is forgotten.

    Returns:
        The rows of `unlinked` that are new or changed, as given; repeating the call returns none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if unlinked.empty and not is_complete:
        return unlinked.astype(UNLINKED_DTYPES)
    with staged(conn, "seen_unlinked", unlinked, UNLINKED):
        if is_complete:
            conn.execute(sql_file(HERE, "forget_linked"))
        values = {"run_id": run.id, "now": now}
        changed = conn.execute(sql_file(HERE, "remember_unlinked"), values)
        return fetch_frame(changed, UNLINKED_DTYPES)


@database_errors()
def forget_unlinked(conn: Connection, run: Run, person_ids: Iterable[int], *, now: datetime) -> int:
    """Take people off that list whose opt-out can reach Salesforce now; returns how many.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    return conn.execute(text(FORGET), {"people": [int(each) for each in person_ids]}).rowcount


FORGET = """
DELETE FROM opt_out_sync.unlinked_person WHERE person_id = ANY (CAST(:people AS bigint[]))
"""
