"""How much room a night needs: in the database, and where rows rest between tasks.

    python -m benchmarks.room [--people N] [--json FILE]

One person per record, 0.5 % changed each way, one whole night. Sizes are those on disk after a
VACUUM, indexes included; the first table is what everybody needs once, the second what one night
adds. The emulator's Ids and times follow each other and are packed well; a real org's lie between
those and the last table, where they are drawn at random.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, text

from benchmarks.night_ways import Parts, product
from benchmarks.night_world import Evening, evening
from include.store.database import connect

SIZES = """
SELECT coalesce(parent.relname, c.relname) AS name, sum(pg_total_relation_size(c.oid)) AS bytes
FROM pg_class AS c
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
WHERE c.relkind = 'r'
  AND c.relnamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
GROUP BY 1
"""
SMALL = 64 * 1024  # bytes: a table that does not grow with the people


def main() -> int:
    """Run one night and print what it left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # Airflow, which the stock hook brings, writes them to stdout
    with (
        tempfile.TemporaryDirectory() as folder,
        evening(Path(folder), options.people) as systems,
    ):
        before, after, staging = _night(systems)
        files = sorted(path for path in staging.rglob("*.parquet"))
        staged = {path.name: path.stat().st_size for path in files}
        shuffled = {path.name: _at_random(path) for path in files}
    added = {name: after[name] - before.get(name, 0) for name in after}
    _print("once, for everybody", before, options.people)
    _print("by one night", added, options.people)
    _print("staged by one night", staged, options.people)
    _print("staged, with Ids, numbers and times at random", shuffled, options.people)
    if options.json:
        figures = {
            "people": options.people,
            "once": before,
            "night": added,
            "staged": staged,
            "staged at random": shuffled,
        }
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


def _night(systems: Evening) -> tuple[dict[str, int], dict[str, int], Path]:
    """Run a night; return the sizes of tables before and after it, and where it staged rows."""
    os.environ["AIRFLOW_CONN_SALESFORCE"] = systems.org.airflow_connection
    os.environ["REQUESTS_CA_BUNDLE"] = str(systems.org.own_ca)
    engine, staging = connect(systems.again()), systems.folder / "staging"
    staging.mkdir()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        before = _sizes(connection)
        _run(product(engine, staging))
        after = _sizes(connection)
    engine.dispose()
    return before, after, staging


def _run(night: Parts) -> None:
    result = None
    while True:
        try:
            _, work = night.send(result)
        except StopIteration:
            return
        result = work()


def _at_random(source: Path) -> int:
    """Return how large a staged file is whose Ids, numbers and times have nothing in common."""
    table = pq.read_table(source)
    columns = [_random(column, seed) for seed, column in enumerate(table.columns)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, names=table.column_names), sink, compression="zstd")
    return int(sink.tell())


def _random(column: pa.ChunkedArray, seed: int) -> pa.ChunkedArray:
    random, size = np.random.default_rng(seed), len(column)
    if pa.types.is_timestamp(column.type):  # of five years, as Salesforce dates: to the second
        drawn = pa.array(random.integers(0, 5 * 365 * 86_400, size) + 1_600_000_000, pa.int64())
        drawn = drawn.cast(pa.timestamp("s")).cast(column.type)
    elif pa.types.is_integer(column.type):
        drawn = pa.array(random.permutation(size), pa.int64()).cast(column.type)
    elif (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)) and (
        pc.count_distinct(column).as_py() > size // 2
    ):
        drawn = pa.array([f"0035g{n:010d}AAA" for n in random.integers(0, 10**9, size)])
        drawn = drawn.cast(column.type)
    else:
        return column
    return pc.if_else(pc.is_valid(column), drawn, pa.scalar(None, column.type))


def _sizes(connection: Connection) -> dict[str, int]:
    connection.execute(text("VACUUM"))
    return {name: int(size) for name, size in connection.execute(text(SIZES))}


def _print(title: str, sizes: dict[str, int], people: int) -> None:
    total = sum(sizes.values())
    print(f"\n{title}: {total / 2**20:.1f} MB, {total / people:.0f} bytes a person")
    for name, size in sorted(sizes.items(), key=lambda each: -each[1]):
        if size >= SMALL:
            print(f"  {name:28}{size / 2**20:9.2f} MB{size / people:9.1f} bytes a person")


if __name__ == "__main__":
    sys.exit(main())
