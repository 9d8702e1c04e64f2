"""What a night of this size cannot be faster than on this machine, whoever writes it.

    python -m benchmarks.limit STORE_URL

Asked of the store right after its night: PostgreSQL's bare COPY of people, opt-outs and links out
of it, and of the night's decisions into a table without an index; one parse of as many bytes of CSV
as Salesforce sends; one memory copy of the columns that a merge aligns. No write of either side, no
rule, no staged file and no check of anything is in it, so no night reaches it. The least of three.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.csv

from include.store.database import connect, libpq_uri

TIMES = 3
PARTS = ("copy out", "parse", "memory copy", "copy in")


def limit(store: str) -> dict[str, float]:
    """Measure each part in seconds, and their sum."""
    with closing(psycopg2.connect(libpq_uri(connect(store)))) as connection:
        with connection.cursor() as cursor:
            cursor.execute(PREPARE)
            people = _number(cursor, PEOPLE)
            salesforce, decisions = _out(cursor, RECORDS), _out(cursor, DECISIONS)
            parts = {
                "copy out": _least(lambda: _discard(cursor)),
                "parse": _least(lambda: _parse(salesforce)),
                "memory copy": _memory_copy(people),
                "copy in": _least(lambda: _in(cursor, decisions)),
            }
        connection.rollback()
    return parts | {"limit": sum(parts.values())}


def _least(work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


class _Nowhere(io.RawIOBase):
    """Takes what it is given and forgets it."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return len(data)


def _discard(cursor: Any) -> None:
    for query in READ:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", _Nowhere())


def _out(cursor: Any, query: str) -> bytes:
    buffer = io.BytesIO()
    cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv)", buffer)
    return buffer.getvalue()


def _in(cursor: Any, rows: bytes) -> None:
    cursor.execute("TRUNCATE bare_decision")
    cursor.copy_expert("COPY bare_decision FROM STDIN (FORMAT csv)", io.BytesIO(rows))


def _number(cursor: Any, query: str) -> int:
    cursor.execute(query)
    return int(cursor.fetchone()[0])


def _parse(content: bytes) -> None:
    options = pyarrow.csv.ReadOptions(column_names=[*COLUMNS])
    convert = pyarrow.csv.ConvertOptions(column_types=COLUMNS, true_values=["true"])
    pyarrow.csv.read_csv(pa.BufferReader(content), options, convert_options=convert)


def _memory_copy(people: int) -> float:
    """Copy three keys of 64 bits, two times and three flags per person."""
    columns = [np.ones(people, np.int64) for _ in range(5)]
    columns += [np.ones(people, np.int8) for _ in range(3)]
    return _least(lambda: [column.copy() for column in columns])


COLUMNS = {
    "flag": pa.bool_(),
    "id": pa.string(),
    "is_deleted": pa.bool_(),
    "master": pa.string(),
    "modified_at": pa.timestamp("us", "UTC"),
    "modified_by": pa.string(),
}
PREPARE = """
CREATE TEMPORARY TABLE bare_decision ON COMMIT DROP AS
SELECT * FROM opt_out_sync.merge_audit WITH NO DATA
"""
PEOPLE = "SELECT count(*) FROM engagement.person"
READ = (
    "SELECT id, salesforce_id FROM engagement.person",
    "SELECT id, person_id, occurred_at, scope, origin FROM engagement.unsubscribe",
    "SELECT person_id, record_id, base, base_since FROM opt_out_sync.link",
)
# what the emulator sends of each record, where nearly all are alive
RECORDS = """
SELECT 'false', salesforce_id, 'false', NULL, '2026-11-20T18:03:00.000Z', salesforce_id
FROM engagement.person WHERE salesforce_id IS NOT NULL
"""
DECISIONS = """
SELECT * FROM opt_out_sync.merge_audit
WHERE sync_run_id = (SELECT max(id) FROM opt_out_sync.sync_run)
"""

if __name__ == "__main__":
    print(json.dumps(limit(sys.argv[1])))
