"""Links: the last value both sides of a person and a record agreed on."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, text
from upath import UPath

from include.audit.packed_links import SCHEMA, unpacked
from include.audit.planner import for_many_rows
from include.audit.runs import Run, guard
from include.domain.conflicts import TUG_OF_WAR_AFTER
from include.store.bulk import (
    Rows,
    Snapshot,
    fetch_arrow,
    snapshot,
    staged,
    to_pandas,
    write_parquet,
)
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
GONE_AFTER = timedelta(days=30)
LINK = pa.schema(
    [
        ("person_id", pa.int64()),
        ("record_id", pa.string()),
        ("object", pa.string()),
        ("field", pa.string()),
    ]
)
VISIBILITY = pa.schema([*LINK, ("is_visible", pa.bool_()), ("is_deleted", pa.bool_())])
LINKS = {
    "person_id": pd.ArrowDtype(pa.int64()),
    "record_id": pd.ArrowDtype(pa.string()),
    "object": pd.ArrowDtype(pa.string()),
    "field": pd.ArrowDtype(pa.string()),
    "base": pd.ArrowDtype(pa.bool_()),
    "base_since": pd.ArrowDtype(pa.timestamp("us", "UTC")),
    "state": pd.ArrowDtype(pa.string()),
    "is_visible": pd.ArrowDtype(pa.bool_()),
    "evidence_id": pd.ArrowDtype(pa.int64()),
    "flips": pd.ArrowDtype(pa.int64()),
}
COVERED = pa.schema([*LINK, ("evidence_id", pa.int64())])


def read_links(
    engine: Engine,
    org_id: str,
    fields: str | Sequence[str] | None = None,
    *,
    person_ids: Iterable[int] | None = None,
) -> pd.DataFrame:
    """Read links of one org at one instant, retired ones included.

    Args:
        engine: the store.
        org_id: the org, 18 characters.
        fields: API names of opt-out fields; None: every field that has a link.
        person_ids: only these people's links; None: everybody's.

    Returns:
        One row per link, Arrow-backed: `person_id` int64, `record_id`, `object`, `field` string,
        `base` bool and `base_since` timestamp[us, UTC] (null: unknown), `state` string (active,
        gone, retired), `is_visible` bool, `evidence_id` int64 (the accepted evidence that covers
        the opt-out which Salesforce still shows, null: none), `flips` int64 (closed nights running
        in which Salesforce undid what was written).
    """
    parameters = _parameters(org_id, fields)
    query = "links_of_all_fields" if fields is None else "links"
    if person_ids is not None:
        parameters["person_ids"] = ",".join(str(person) for person in person_ids)
        query = "links_of_people"
    with database_errors(), snapshot(engine, parameters) as database:
        return to_pandas(_links(database, query))


def _links(database: Snapshot, query: str) -> Rows:
    return database.read(HERE, query).converted(unpacked, SCHEMA)


def extract_links(engine: Engine, org_id: str, destination: UPath) -> int:
    """Write every link of one org to a Parquet file, as they are at one instant, batch by batch.

    Args:
        engine: the store.
        org_id: the org, 18 characters.
        destination: one row per link, the columns of `read_links`; replaced by the next call.

    Returns:
        How many there are.
    """
    with database_errors(), snapshot(engine, _parameters(org_id, None)) as database:
        rows = _links(database, "links_of_all_fields")
        return write_parquet(rows, rows.schema, destination)


@database_errors()
def links_of(conn: Connection, org_id: str, person_ids: Iterable[int]) -> pd.DataFrame:
    """Read the links of some people, of every field, in a transaction of the caller's.

    Returns:
        The columns of `read_links`, in the types of `frames.Links`.
    """
    values = {"org_id": org_id, "person_ids": [int(each) for each in person_ids]}
    return fetch_arrow(conn.execute(sql_file(HERE, "links_of"), values), LINKS)


def _parameters(org_id: str, fields: str | Sequence[str] | None) -> dict[str, str]:
    named = [fields] if isinstance(fields, str) else list(fields or [])
    return {
        "org_id": org_id,
        "fields": ",".join(named),
        "every_field": str(fields is None).lower(),
    }


@database_errors()
def opted_out_fields(conn: Connection, org_id: str) -> list[str]:
    """Return the opt-out fields on which links of an org agree on "opted out", by name.

    A field outside the chosen mode is among them where an earlier mode wrote it.
    """
    return list(conn.execute(text(OPTED_OUT_FIELDS), {"org_id": org_id}).scalars())


@database_errors()
def count_links(conn: Connection, org_id: str) -> int:
    """Count the links of an org that are in use."""
    count: int = conn.execute(text(COUNT), {"org_id": org_id}).scalar_one()
    return count


@database_errors()
def move_bases(
    conn: Connection, run: Run, *, now: datetime, person_ids: Iterable[int] | None = None
) -> int:
    """Move the base of each decided link that was seen or made to agree; add links first seen.

    A base moves where nothing was planned, or where every planned write has the newest outcome
    `confirmed`: the link's own, the one to the store of the same person, and those to the same
    record and field, whichever decision of this run plans them. A base that moves, and a confirmed
    write to Salesforce, end what evidence covered there; a base that moves to "not opted out" ends
    a tug of war. A base that moved after this run had begun to read knows better and stays. A run
    that only plans moves nothing; repeating the call neither.

    Args:
        conn: in a transaction.
        run: that decided.
        now: when.
        person_ids: of whole groups: only what was decided about these; None: all of the run.

    Returns:
        How many bases moved.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if run.plan_only:
        return 0
    read_at = run.extraction_started_at or run.started_at
    return _move_bases(conn, run, run.id, read_at, now, person_ids)


@database_errors()
def move_late_bases(
    conn: Connection, run: Run, of_run_id: int, person_ids: Iterable[int], *, now: datetime
) -> int:
    """Move the bases of another run's writes, whose outcomes were found out now.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    return _move_bases(conn, run, of_run_id, now, now, person_ids)


def _move_bases(
    conn: Connection,
    run: Run,
    of_run_id: int,
    read_at: datetime,
    now: datetime,
    person_ids: Iterable[int] | None,
) -> int:
    values = {
        "run_id": of_run_id,
        "org_id": run.org_id,
        "now": now,
        "read_at": read_at,
        "person_ids": None if person_ids is None else [int(each) for each in person_ids],
    }
    with for_many_rows(conn) if person_ids is None else nullcontext():
        moved: int = conn.execute(sql_file(HERE, "move_bases"), values).scalar_one()
        conn.execute(sql_file(HERE, "uncover_links"), values)
    return moved


@database_errors()
def record_visibility(conn: Connection, run: Run, changes: pd.DataFrame, *, now: datetime) -> int:
    """Remember which links' records were returned, deleted or not in the answer.

    A night also ends links whose record has not been visible for 30 days.

    Args:
        conn: in a transaction.
        run: its org says which links are meant.
        changes: one row per link: `person_id`, `record_id`, `object`, `field`, `is_visible`,
            `is_deleted`. Links not yet known are added, with an unknown base.
        now: of the observation.

    Returns:
        How many links changed; repeating the call changes none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    is_of_some = run.kind == "push"  # which looks at a few people, many times a minute
    if is_of_some and changes.empty:
        return 0
    values = {"org_id": run.org_id, "now": now}
    with staged(conn, "changed_visibility", changes, VISIBILITY):
        seen: int = conn.execute(sql_file(HERE, "record_visibility"), values).scalar_one()
    if is_of_some:
        return seen
    gone = conn.execute(text(GONE), {"org_id": run.org_id, "before": now - GONE_AFTER})
    return seen + gone.rowcount


@database_errors()
def retire_links(conn: Connection, run: Run, retired: pd.DataFrame, *, now: datetime) -> int:
    """Retire links that nobody names any more: another record took over, or the person is gone.

    Their base is kept, the evidence that covered them is not. A run that only plans retires none.

    Args:
        conn: in a transaction.
        run: its org says which links are meant.
        retired: one row per link: `person_id`, `record_id`, `object`, `field`. Links not yet known
            are added as retired.
        now: when.

    Returns:
        How many links were retired; repeating the call retires none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if run.plan_only:
        return 0
    with staged(conn, "retired_link", retired, LINK):
        values = {"org_id": run.org_id, "now": now}
        return conn.execute(sql_file(HERE, "retire_links"), values).rowcount


@database_errors()
def cover_links(conn: Connection, run: Run, covered: pd.DataFrame, *, now: datetime) -> int:
    """Remember which accepted evidence covers the opt-out that Salesforce still shows.

    So an edit of the record between the judgement and the write does not make the opt-out look
    newer than its evidence. The base of a covered link is "opted out": that is what both sides said
    until then. A run that only plans covers nothing.

    Args:
        conn: in the transaction that records the clears.
        run: its org says which links are meant.
        covered: one row per link whose record shows an opt-out: `person_id`, `record_id`, `object`,
            `field`, `evidence_id` (null: it is covered no more). Links not yet known are added.
        now: of the judgement.

    Returns:
        How many links changed; repeating the call changes none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if run.plan_only:
        return 0
    with staged(conn, "covered_link", covered, COVERED):
        values = {"run_id": run.id, "org_id": run.org_id, "now": now}
        return conn.execute(sql_file(HERE, "cover_links"), values).rowcount


@database_errors()
def count_flips(conn: Connection, run: Run, *, now: datetime) -> int:
    """Count, at the close of a night, how often running the other side undid each link.

    One more where this night decided to undo a cleared box, none where it did not; three stay three
    until somebody releases the link. Attempts of one night count once. Other kinds of runs look at
    some links only, so they count nothing, and neither does a plan. Call it once, in the
    transaction that closes the night.

    Returns:
        How many links have another count than before.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    if run.plan_only or run.kind != "night":
        return 0
    values = {"run_id": run.id, "org_id": run.org_id, "most": TUG_OF_WAR_AFTER}
    return conn.execute(sql_file(HERE, "count_flips"), values).rowcount


@database_errors()
def release(conn: Connection, person_id: int, *, by: str, note: str, now: datetime) -> int:
    """Let Salesforce be written again for a person after a tug of war, and keep who said so.

    A box is one: whoever shares it with the person is released, too.

    Returns:
        How many links were released; 0, and nothing is kept, if none was undone.
    """
    released = conn.execute(text(RELEASE), {"person_id": person_id}).rowcount
    if released:
        values = {"person_id": person_id, "by": by, "note": note, "now": now, "links": released}
        conn.execute(text(REMEMBER_RELEASE), values)
    return released


OPTED_OUT_FIELDS = """
WITH RECURSIVE known AS (  -- from one field to the next by index: there are few, of many links
    SELECT min(field) AS field FROM opt_out_sync.link WHERE org_id = :org_id
    UNION ALL
    SELECT (SELECT min(l.field) FROM opt_out_sync.link AS l
            WHERE l.org_id = :org_id AND l.field > known.field)
    FROM known WHERE known.field IS NOT NULL
)
SELECT known.field FROM known
WHERE EXISTS (
    SELECT FROM opt_out_sync.link AS l
    WHERE l.org_id = :org_id AND l.field = known.field AND l.state = 'active' AND l.base
)
ORDER BY known.field
"""
COUNT = """
SELECT count(*) FROM opt_out_sync.link WHERE org_id = :org_id AND state = 'active'
"""
GONE = """
UPDATE opt_out_sync.link SET state = 'gone'
WHERE org_id = :org_id AND state = 'active' AND not_visible_since <= :before
"""
RELEASE = """
UPDATE opt_out_sync.link AS l SET flips = 0
FROM (
    SELECT DISTINCT org_id, record_id, field FROM opt_out_sync.link
    WHERE person_id = :person_id AND flips > 0
) AS box
WHERE (l.org_id, l.record_id, l.field) = (box.org_id, box.record_id, box.field) AND l.flips > 0
"""
REMEMBER_RELEASE = """
INSERT INTO opt_out_sync.link_release (released_at, released_by, note, person_id, links)
VALUES (:now, :by, :note, :person_id, :links)
"""
