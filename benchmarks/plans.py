"""Shows how PostgreSQL runs the hot queries, and what tables take; writes docs/database.md.

    python -m benchmarks.plans [--people N] [--decisions N] [--dry-run]

Builds the year of nights of `benchmarks.audit` and runs each statement as the product does, in a
transaction that is rolled back. A time is that of one run after another one, so from memory.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from benchmarks.audit_rows import fill
from benchmarks.hot_queries import HOT, Hot
from benchmarks.plan_text import told
from benchmarks.publish import where
from include.migrations.upgrade import upgrade
from include.store.database import connect, transaction
from local import postgres

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "database.md"
BEGIN: Final = "<!-- written by python -m benchmarks.plans: do not edit below this line -->"
EXPLAIN: Final = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
PAGE_BYTES: Final = 8192
MIB: Final = 2**20


def main() -> None:
    """Fill, explain, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--decisions", type=int, default=2_000_000)
    parser.add_argument("--dry-run", action="store_true", help="print it, and leave the page alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = postgres.start(Path(folder) / "data", {"fsync": "off", "max_wal_size": "4GB"})
        try:
            engine = connect(server.create_database("plans"))
            upgrade(engine)
            now = datetime.now(UTC)
            fill(engine, decisions=options.decisions, people=options.people, now=now)
            written = "\n".join(_report(engine, options.people, options.decisions, now))
            engine.dispose()
        finally:
            server.stop()
    print(written)
    if not options.dry_run:
        head = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
        PAGE.write_text(f"{head}{BEGIN}\n\n{written}\n", encoding="utf-8")


def _report(engine: Engine, people: int, decisions: int, now: datetime) -> list[str]:
    lines = [
        "## Hot queries",
        "",
        f"{people:,} people, each with a record; {decisions:,} decisions in a year of nights.",
        where(),
    ]
    for hot in HOT:
        lines += _explained(engine, hot, {"people": people, "now": now})
    with transaction(engine) as conn:
        lines += ["", "## Sizes", "", *_sizes(conn, people)]
    return lines


def _explained(engine: Engine, hot: Hot, world: dict[str, Any]) -> list[str]:
    with engine.connect() as conn:
        values = hot.prepare(conn, world)
        statement = text(EXPLAIN + hot.statement)
        conn.execute(text("SAVEPOINT before"))
        conn.execute(statement, values)
        conn.execute(text("ROLLBACK TO before"))
        (plan,) = conn.execute(statement, values).scalar_one()
        conn.rollback()
    top = plan["Plan"]
    pages = top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0)
    took = plan["Planning Time"] + plan["Execution Time"]
    return [
        "",
        f"### {hot.name}",
        "",
        f"{hot.when} **{took:,.1f} ms**, of which {plan['Planning Time']:,.1f} ms to plan; "
        f"{pages:,} pages of 8 KiB.",
        "",
        "```text",
        *told(top),
        "```",
    ]


def _sizes(conn: Connection, people: int) -> list[str]:
    lines = [
        "Partitions are summed. Staged files are not in the database: docs/benchmarks.md.",
        "",
        "| table or index | rows | MiB | bytes a row |",
        "|---|---|---|---|",
    ]
    for row in conn.execute(text(SIZES)).mappings():
        per_row = f"{row['bytes'] / row['rows']:,.0f}" if row["rows"] else "-"
        name = f"`{row['name']}`" if row["is_table"] else f"… `{row['name']}`"
        lines.append(f"| {name} | {row['rows']:,} | {row['bytes'] / MIB:,.1f} | {per_row} |")
    return lines


SIZES = """
WITH leaf AS (
    SELECT c.oid, coalesce(parent.inhparent, c.oid) AS root, c.reltuples
    FROM pg_class AS c
    LEFT JOIN pg_inherits AS parent ON parent.inhrelid = c.oid
    WHERE c.relkind = 'r'
      AND c.relnamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
), sized AS (
    SELECT root, sum(greatest(reltuples, 0))::bigint AS rows, sum(pg_table_size(oid)) AS bytes
    FROM leaf GROUP BY root
), indexed AS (
    SELECT leaf.root, coalesce(up.inhparent, i.indexrelid) AS index_root,
           sum(pg_relation_size(i.indexrelid)) AS bytes
    FROM leaf
    JOIN pg_index AS i ON i.indrelid = leaf.oid
    LEFT JOIN pg_inherits AS up ON up.inhrelid = i.indexrelid
    GROUP BY 1, 2
)
SELECT sized.root::regclass::text AS root, sized.root::regclass::text AS name, true AS is_table,
       sized.rows, sized.bytes
FROM sized WHERE sized.rows > 1000
UNION ALL
SELECT sized.root::regclass::text, split_part(index_root::regclass::text, '.', 2), false,
       sized.rows, indexed.bytes
FROM indexed JOIN sized USING (root) WHERE sized.rows > 1000 AND indexed.bytes > 65536
ORDER BY 1, 3 DESC, 2
"""


if __name__ == "__main__":
    main()
