"""Measures the pages of the audit over a year of nights.

    python -m benchmarks.audit [--decisions N] [--people N] [--data FOLDER]

Fills a database of its own (ten million decisions take some minutes and 8 GB) and asks for what the
pages ask for. Each line shows the best of three, and how far back the search came within its time:
what no index answers is looked for from the newest rows backwards.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.audit_rows import fill
from include.migrations.upgrade import upgrade
from include.reports.compliance import Period, carried, summary
from include.reports.nights import last_nights
from include.reports.overview import overview
from include.reports.person import story
from include.reports.search import Filter, Op, Page, Query, find
from include.reports.tables import Table
from include.store.database import connect, transaction
from local import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Engine

GOAL: Final = 1.0
TIMES: Final = 3
PERSON: Final = 1_001

SEARCHES: Final[Mapping[str, tuple[Table, Query, int]]] = {
    "decisions, newest": (Table.DECISIONS, Query(), 0),
    "... page 200": (Table.DECISIONS, Query(), 9_950),
    "... by person": (Table.DECISIONS, Query(sort="person_id"), 0),
    "... by code": (Table.DECISIONS, Query(sort="code"), 0),
    "... by record": (Table.DECISIONS, Query(sort="record_id"), 0),
    "... of a person": (Table.DECISIONS, Query([Filter("person_id", Op.EQUALS, PERSON)]), 0),
    "... of a run": (Table.DECISIONS, Query([Filter("sync_run_id", Op.EQUALS, 180)]), 0),
    "... of a rare code": (Table.DECISIONS, Query([Filter("code", Op.EQUALS, "TUG_OF_WAR")]), 0),
    "... of an object": (Table.DECISIONS, Query([Filter("object", Op.EQUALS, "Contact")]), 0),
    "... of none": (Table.DECISIONS, Query([Filter("object", Op.EQUALS, "Lead")]), 0),
    "... a word in the reason": (Table.DECISIONS, Query([Filter("reason", Op.CONTAINS, "x y")]), 0),
    "writes, newest": (Table.WRITES, Query(), 0),
    "... that failed": (Table.WRITES, Query([Filter("outcome", Op.EQUALS, "failed")]), 0),
    "open failures": (Table.FAILURES, Query(), 0),
    "nights, by decisions": (Table.NIGHTS, Query(sort="decisions"), 0),
}


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--data", type=Path, help="folder of a server that is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = postgres.start((options.data or Path(folder)) / "data", {"fsync": "off"})
        try:
            engine = connect(server.create_database("audit"))
            _measure(engine, options.decisions, options.people)
        finally:
            server.stop()


def _measure(engine: Engine, decisions: int, people: int) -> None:
    now = datetime.now(UTC)
    upgrade(engine)
    started = time.perf_counter()
    fill(engine, decisions=decisions, people=people, now=now)
    print(f"{decisions:,} decisions about {people:,} people: {time.perf_counter() - started:.0f} s")
    for name, (table, query, skip) in SEARCHES.items():
        _line(engine, name, partial(find, table=table, query=query, skip=skip))
    month = Period(now - timedelta(days=30), now)
    _line(engine, "overview", lambda _: overview(engine, now=now))
    _line(engine, "a year of nights", lambda conn: last_nights(conn, now=now, most=365))
    _line(engine, "compliance of a month", lambda conn: summary(conn, month, now=now))
    _line(engine, "... its first page", lambda conn: carried(conn, month, now=now))
    _line(engine, "a person", lambda _: story(engine, PERSON, now=now))
    engine.dispose()


def _line(engine: Engine, name: str, ask: Callable[[Connection], object]) -> None:
    best, found = float("inf"), None
    for _ in range(TIMES):
        with transaction(engine) as conn:
            started = time.perf_counter()
            found = ask(conn)
            best = min(best, time.perf_counter() - started)
    reached = ""
    if isinstance(found, Page) and found.searched_back_to is not None:
        reached = f"  (back to {found.searched_back_to:%Y-%m-%d})"
    print(f"{name:28} {best:7.3f} s  {'ok' if best < GOAL else 'SLOW'}{reached}")


if __name__ == "__main__":
    main()
