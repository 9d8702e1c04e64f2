"""Writes: what became of each planned write. Insert-only; an outcome is a row of its own."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from include.audit.planner import for_many_rows
from include.audit.runs import Run, guard
from include.domain.values import Outcome, Side
from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file, transaction
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
        ("changed_by", pa.string()),
        ("changed_at", pa.timestamp("us", "UTC")),
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

UNANSWERED_DTYPES = {
    "sync_run_id": "int64",
    "person_id": "int64",
    "record_id": "str",
    "object": "str",
    "field": "str",
    "target": "bool",
}
NEWEST_DTYPES = {
    "person_id": "int64",
    "record_id": "str",
    "object": "str",
    "field": "str",
    "side": "str",
    "target": "bool",
    "outcome": "str",
    "failure_class": "str",
    "code": "str",
    "fix": "str",
}
PENDING_DTYPES = {
    "person_id": "int64",
    "record_id": "str",
    "object": "str",
    "field": "str",
    "account_id": "str",
    "target": "bool",
    "cause": "str",
    "evidence_id": "Int64",
    "salesforce_modified_at": "datetime64[us, UTC]",
}
OWN_WRITES = {
    "record_id": "str",
    "field": "str",
    "act_id": "Int64",
    "act_at": "datetime64[us, UTC]",
}
ASKED_RECORD = pa.schema([("record_id", pa.string())])


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
def record_late_outcomes(
    conn: Connection, run: Run, of_run_id: int, outcomes: pd.DataFrame, *, now: datetime
) -> int:
    """Add outcomes of writes of another run, which was killed before it could.

    Args:
        conn: in a transaction.
        run: that found out.
        of_run_id: that wrote.
        outcomes: as for `record_outcomes`.
        now: instant at which it was found out.

    Returns:
        How many rows were added.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    values = {"run_id": of_run_id, "org_id": run.org_id, "now": now}
    with staged(conn, "new_outcome", outcomes, OUTCOMES):
        return conn.execute(sql_file(HERE, "record_outcomes"), values).rowcount


@database_errors()
def unanswered(
    conn: Connection, run: Run, person_ids: Iterable[int], *, since: datetime
) -> pd.DataFrame:
    """Read the writes to Salesforce that pushes planned for some people and never told the end of.

    Those of other pushes that are at work are left out.

    Returns:
        One row per run, person, record and field: `sync_run_id`, `person_id` int64, `record_id`,
        `object`, `field` str, `target` bool.
    """
    values = {"run_id": run.id, "people": [int(each) for each in person_ids], "since": since}
    return fetch_frame(conn.execute(sql_file(HERE, "unanswered"), values), UNANSWERED_DTYPES)


@database_errors()
def rows_with_outcome(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Read the newest outcome of each write of this run to one side.

    Returns:
        One row per person, record and field: `person_id` int64, `record_id`, `object`, `field`
        str, `target` bool, `outcome` str, `act_id` Int64.
    """
    values = {"run_id": run.id, "side": side.value}
    return fetch_frame(conn.execute(sql_file(HERE, "latest_outcomes"), values), LATEST_DTYPES)


@database_errors()
def newest_outcomes(conn: Connection, run: Run, person_ids: Iterable[int]) -> pd.DataFrame:
    """Read the newest outcome of each write of a run for some people, with its reason.

    Returns:
        One row per person, record, field and side: columns of `OUTCOMES`, without job and act.
    """
    values = {"run_id": run.id, "people": [int(each) for each in person_ids]}
    return fetch_frame(conn.execute(text(NEWEST_OUTCOMES), values), NEWEST_DTYPES)


def applied(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Read the writes that a side accepted and that nobody has read back yet.

    Returns:
        The rows of `rows_with_outcome` whose newest outcome is `applied`.
    """
    known = rows_with_outcome(conn, run, side)
    return known[known["outcome"] == Outcome.APPLIED.value].reset_index(drop=True)


@database_errors()
def pending_writes(
    conn: Connection, run: Run, side: Side, *, value: bool | None = None
) -> pd.DataFrame:
    """Read the planned writes of this run to one side that have no outcome yet.

    So a load that was killed goes on where it stopped.

    Args:
        conn: of the store.
        run: whose plan.
        side: written to.
        value: only opt-outs (true) or clears (false); None for both.

    Returns:
        One row per person, record and field, ordered by record: `person_id` int64, `record_id`,
        `object`, `field` (null for a person without a record), `account_id` (of a person account,
        else null) str, `target` bool, `cause` str (the act or field that it carries), `evidence_id`
        Int64, `salesforce_modified_at` (UTC; the record's last change, as it was read).
    """
    values = {"run_id": run.id, "side": side.value, "value": value}
    with for_many_rows(conn):
        return fetch_frame(conn.execute(sql_file(HERE, "pending_writes"), values), PENDING_DTYPES)


@database_errors()
def recent_clears(conn: Connection, org_id: str, since: datetime) -> int:
    """Count the links that runs of an org cleared since a moment, on either side.

    What a person approved does not count: it was looked at, so it uses up nobody's allowance.
    """
    values = {"org_id": org_id, "since": since}
    count: int = conn.execute(text(RECENT_CLEARS), values).scalar_one()
    return count


def own_writes(
    engine: Engine, org_id: str, record_ids: Iterable[str], fields: Iterable[str]
) -> pd.DataFrame:
    """Find the opt-outs in Salesforce that our newest confirmed write set, and what they carried.

    Args:
        engine: the store.
        org_id: the org.
        record_ids: 18 characters.
        fields: API names.

    Returns:
        One row per record and field: `record_id`, `field` str, `act_id` Int64, `act_at` (UTC, on
        the store's clock): the newest act, where several people share the record. Left out is what
        carried anything but acts of the store, and what we wrote again and never read back.
    """
    asked = pd.DataFrame({"record_id": pd.Series(list(record_ids), dtype="str")})
    with transaction(engine) as conn, staged(conn, "asked_record", asked, ASKED_RECORD):
        values = {"org_id": org_id, "fields": list(fields)}
        return fetch_frame(conn.execute(sql_file(HERE, "own_writes"), values), OWN_WRITES)


@database_errors()
def acts_of_run(conn: Connection, run_id: int) -> pd.DataFrame:
    """Read the unsubscribes that a run wrote to the store.

    Returns:
        One row per act: `act_id`, `person_id` int64.
    """
    rows = conn.execute(text(ACTS_OF_RUN), {"run_id": run_id})
    return fetch_frame(rows, {"act_id": "int64", "person_id": "int64"})


@database_errors()
def open_failures(conn: Connection, org_id: str) -> int:
    """Count the writes of an org that failed and that nothing has mended since."""
    count: int = conn.execute(text(OPEN_FAILURES), {"org_id": org_id}).scalar_one()
    return count


@database_errors()
def undoers(conn: Connection, run: Run) -> list[str]:
    """Return who undid most of the opt-outs that a run found undone: Ids of users of Salesforce."""
    return list(conn.execute(text(UNDOERS), {"run_id": run.id}).scalars())


UNDOERS = """
SELECT changed_by FROM opt_out_sync.v_undone
WHERE sync_run_id = :run_id AND changed_by IS NOT NULL
GROUP BY changed_by ORDER BY count(*) DESC, changed_by LIMIT 3
"""
OPEN_FAILURES = "SELECT count(*) FROM opt_out_sync.v_open_failures WHERE org_id = :org_id"
NEWEST_OUTCOMES = """
SELECT DISTINCT ON (person_id, record_id, field, side)
       person_id, record_id, object, field, side, target, outcome, failure_class, code, fix
FROM opt_out_sync.write_attempt
WHERE sync_run_id = :run_id AND person_id = ANY (CAST(:people AS bigint[]))
ORDER BY person_id, record_id, field, side, id DESC
"""
RECENT_CLEARS = """
SELECT count(DISTINCT (w.person_id, w.record_id, w.field))
FROM opt_out_sync.write_attempt AS w
WHERE w.org_id = :org_id AND NOT w.target AND w.attempted_at > :since
  AND w.outcome IN ('applied', 'confirmed')
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.sync_run AS r
      WHERE r.id = w.sync_run_id AND r.kind = 'held_clears'
  )
"""
ACTS_OF_RUN = """
SELECT DISTINCT w.act_id, w.person_id
FROM opt_out_sync.write_attempt AS w
JOIN engagement.sync_act AS act ON act.act_id = w.act_id AND act.person_id = w.person_id
WHERE w.sync_run_id = :run_id AND w.side = 'store' AND w.target
  AND act.kind = 'unsubscribe'
  AND act.idempotency_key LIKE 'opt-out-sync/' || :run_id || '/%'
ORDER BY w.act_id
"""
