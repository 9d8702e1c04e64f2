"""People of the engagement store: who is opted out, and new opt-outs from Salesforce.

Everything goes through `engagement.person`, `engagement.unsubscribe`, `person_states(...)` and
`record_act(...)`, so that a store of the user's own only has to offer these four. No address is
read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Engine
from upath import UPath

from include.store.bulk import Rows, fetch_frame, snapshot, staged, write_parquet
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
ASKED_OPT_OUT = pa.schema(
    [("person_id", pa.int64()), ("caused_by", pa.string()), ("idempotency_key", pa.string())]
)
ASKED_PERSON = pa.schema([("person_id", pa.int64())])
RECORDED = {"person_id": "int64", "act_id": "Int64", "already_opted_out": "bool"}
STATES = {"person_id": "int64", "is_opted_out": "boolean"}


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """What one reading of the store saw."""

    people: int
    opted_out: int
    out_of_scope: int  # unsubscribes that the settings exclude


def extract_people(
    engine: Engine, destination: UPath, *, scopes: Sequence[str], with_bounces: bool
) -> StoreCounts:
    """Write the state of every person to one Parquet file, read at one instant.

    Args:
        engine: the store.
        destination: one row per person: `person_id` int64, `salesforce_id` string (null without
            one), `is_opted_out` bool, `opted_out_at` timestamp[us, UTC], `act_id` int64 and
            `origin` string (null while not opted out). Replaced by the next call.
        scopes: which unsubscribes count.
        with_bounces: whether bounces count.

    Raises:
        TransientSyncError, PermanentSyncError: see `include.store.errors`.
    """
    parameters = {"scopes": ",".join(scopes), "with_bounces": str(with_bounces).lower()}
    with database_errors(), snapshot(engine, parameters) as database:
        excluded: int = database.read(HERE, "out_of_scope").table()["acts"][0].as_py()
        rows = database.read(HERE, "people")
        tally = _Tally(rows)
        write_parquet(iter(tally), rows.schema, destination)
    return StoreCounts(people=tally.people, opted_out=tally.opted_out, out_of_scope=excluded)


@database_errors()
def record_opt_outs(conn: Connection, rows: pd.DataFrame, *, occurred_at: datetime) -> pd.DataFrame:
    """Record an act of the sync for each person who exists and is not opted out.

    Args:
        conn: in a transaction; the acts are part of it.
        rows: one row per person: `person_id` int, `caused_by` and `idempotency_key` str.
        occurred_at: start of the extraction that saw the cause (aware).

    Returns:
        One row per row of `rows`: `person_id` int64, `act_id` Int64 (null: the person is gone),
        `already_opted_out` bool (then `act_id` is the act that opted the person out).
        Repeating the call adds nothing.

    Raises:
        ValueError: a person is asked for twice.
    """
    if not rows["person_id"].is_unique:
        raise ValueError("rows must have one row per person")
    with staged(conn, "asked_opt_out", rows, ASKED_OPT_OUT):
        statement = sql_file(HERE, "record_opt_outs")
        return fetch_frame(conn.execute(statement, {"occurred_at": occurred_at}), RECORDED)


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
    asked = pd.DataFrame({"person_id": pd.Series(list(person_ids), dtype="int64")})
    with staged(conn, "asked_person", asked, ASKED_PERSON):
        values = {"scopes": list(scopes), "with_bounces": with_bounces}
        return fetch_frame(conn.execute(sql_file(HERE, "states"), values), STATES)


class _Tally:
    """Counts people while their batches pass by."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.people = 0
        self.opted_out = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._rows:
            self.people += batch.num_rows
            self.opted_out += pc.sum(batch.column("is_opted_out")).as_py() or 0
            yield batch
