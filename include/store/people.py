"""People of the engagement store: who they are, what holds them opted out, what may end it.

Everything goes through `engagement.person`, the views `standing_opt_out` and `open_resubscribe`,
and the functions `person_states(...)` and `states_of(...)`, so that a store of the user's own only
has to offer these. No address is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, text
from upath import UPath

from include.store.bulk import (
    Snapshot,
    fetch_arrow,
    fetch_frame,
    snapshot,
    staged,
    write_parquet,
)
from include.store.database import sql_file, transaction
from include.store.errors import database_errors

HERE = Path(__file__).parent
ASKED_PERSON = pa.schema([("person_id", pa.int64())])
ONE_INSTANT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
STATES = {"person_id": "int64", "is_opted_out": "boolean"}

_INTEGER: Final = pd.ArrowDtype(pa.int64())
_BOOLEAN: Final = pd.ArrowDtype(pa.bool_())
_TEXT: Final = pd.ArrowDtype(pa.string())
_TIME: Final = pd.ArrowDtype(pa.timestamp("us", "UTC"))
PEOPLE: Final = {"person_id": _INTEGER, "salesforce_id": _TEXT}
OPT_OUTS: Final = {
    "act_id": _INTEGER,
    "person_id": _INTEGER,
    "at": _TIME,
    "scope": _TEXT,
    "origin": _TEXT,
    "caused_by": _TEXT,
}
RESUBSCRIBES: Final = {
    "act_id": _INTEGER,
    "person_id": _INTEGER,
    "at": _TIME,
    "recorded_at": _TIME,
    "origin": _TEXT,
    "is_evidence": _BOOLEAN,
    "is_accepted": _BOOLEAN,
}


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """What one reading of the store saw."""

    people: int
    opted_out: int
    out_of_scope: int  # unsubscribes that the settings exclude
    opt_outs: int  # unsubscribes that stand, in every scope
    resubscribes: int  # that were accepted, or may have to be judged


def extract_people(
    engine: Engine,
    *,
    people: UPath,
    opt_outs: UPath,
    resubscribes: UPath,
    scopes: Sequence[str],
    with_bounces: bool,
) -> StoreCounts:
    """Write everybody and what holds them opted out to Parquet files, all read at one instant.

    Args:
        engine: the store.
        people: one row per person: `person_id` int64, `salesforce_id` string (null without one).
        opt_outs: one row per unsubscribe that stands, of every scope: `act_id`, `person_id` int64,
            `at` timestamp[us, UTC] (of the act, or the latest time of its cause), `scope`,
            `origin`, `caused_by` string (null unless the sync wrote it).
        resubscribes: one row per resubscribe that was accepted or may have to be judged: `act_id`,
            `person_id` int64, `at`, `recorded_at` timestamp[us, UTC], `origin` string,
            `is_evidence`, `is_accepted` bool. All three are replaced by the next call.
        scopes: which unsubscribes are counted as opted out.
        with_bounces: whether bounces are.

    Raises:
        TransientSyncError, PermanentSyncError: see `include.store.errors`.
    """
    parameters = {"scopes": ",".join(scopes), "with_bounces": str(with_bounces).lower()}
    with database_errors(), snapshot(engine, parameters) as database:
        # Read as a whole; only the few resubscribes are looked up, each with its person's opt-outs.
        with database.joined_at_once():
            out_of_scope = _count(database, "out_of_scope", "acts")
            opted_out = _count(database, "opted_out", "people")
            standing = _write(database, "opt_outs", opt_outs)
        return StoreCounts(
            people=_write(database, "people", people),
            opted_out=opted_out,
            out_of_scope=out_of_scope,
            opt_outs=standing,
            resubscribes=_write(database, "resubscribes", resubscribes),
        )


def read_groups(
    engine: Engine, person_ids: Iterable[int], record_ids: Iterable[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read some people, and everybody who names the same Salesforce record as one of them.

    All three are read at one instant, by index: everybody else's rows stay untouched.

    Args:
        engine: the store.
        person_ids: of the people.
        record_ids: whoever names one of these records is read, too.

    Returns:
        People, opt-outs and resubscribes with the columns of `extract_people`, Arrow-backed.
        People who do not exist are absent.
    """
    with transaction(engine) as conn:
        conn.execute(text(ONE_INSTANT))
        return groups_of(conn, person_ids, record_ids)


@database_errors()
def groups_of(
    conn: Connection, person_ids: Iterable[int], record_ids: Iterable[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read the same in a transaction of the caller's, which sees the database at one instant."""
    asked = {"person_ids": [int(each) for each in person_ids], "record_ids": list(record_ids)}
    people = fetch_arrow(conn.execute(sql_file(HERE, "group_people"), asked), PEOPLE)
    values = {"person_ids": people["person_id"].tolist()}
    opt_outs = fetch_arrow(conn.execute(sql_file(HERE, "group_opt_outs"), values), OPT_OUTS)
    resubscribes = conn.execute(sql_file(HERE, "group_resubscribes"), values)
    return people, opt_outs, fetch_arrow(resubscribes, RESUBSCRIBES)


@database_errors()
def read_states(
    conn: Connection,
    person_ids: Iterable[int],
    *,
    scopes: Sequence[str] = ("team",),
    with_bounces: bool = False,
) -> pd.DataFrame:
    """Read the present state of some people.

    Returns:
        One row per id asked for: `person_id` int64, `is_opted_out` boolean (null: gone).
    """
    ids = [int(each) for each in person_ids]
    asked = pd.DataFrame({"person_id": pd.Series(ids, dtype="int64")})
    with staged(conn, "asked_person", asked, ASKED_PERSON):
        values = {"person_ids": ids, "scopes": list(scopes), "with_bounces": with_bounces}
        return fetch_frame(conn.execute(sql_file(HERE, "states"), values), STATES)


def _count(database: Snapshot, query: str, column: str) -> int:
    count: int = database.read(HERE, query).table()[column][0].as_py()
    return count


def _write(database: Snapshot, query: str, destination: UPath) -> int:
    """Write what a query returns and say how many rows there were."""
    rows = database.read(HERE, query)
    return write_parquet(rows, rows.schema, destination)
