"""Searching the audit: filters on every column, sorting and paging in the database, under a second.

Ten million rows are never counted or sorted as a whole. A count stops at `COUNTED`. What an index
answers is answered from everything. What none answers is looked for from the newest rows backwards
while time lasts, and `searched_back_to` says how far that was.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg2.errors
import sqlalchemy as sa
from sqlalchemy import Connection, Select, text
from sqlalchemy.exc import OperationalError

from include.audit.planner import without_compiling
from include.reports.columns import Definition, Table
from include.reports.conditions import (
    Filter,
    Op,
    Query,
    WrongFilterError,
    is_indexed,
    ordered,
    relation,
    statement,
)
from include.reports.tables import definition
from include.store.errors import database_errors

__all__ = [
    "COUNTED",
    "Filter",
    "Op",
    "Page",
    "Query",
    "Row",
    "WrongFilterError",
    "find",
    "one",
    "stream",
]

COUNTED: Final = 10_000
"""Rows that are counted, and can be paged through. More are narrowed by a filter, or exported."""

EVERYTHING: Final = Query()
PATIENCE: Final = 0.8
MOST: Final = 1_000
"""Rows of a page."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows.

    Attributes:
        rows: one mapping per row, with the columns that may be seen.
        total: how many there are, at most `COUNTED`.
        is_more: there are, or may be, more than `total`.
        searched_back_to: older rows were not looked at (UTC); None: everything was.
    """

    rows: Sequence[Row] = ()
    total: int = 0
    is_more: bool = False
    searched_back_to: datetime | None = None


@database_errors()
def find(
    conn: Connection,
    table: Table,
    query: Query = EVERYTHING,
    *,
    with_address: bool = False,
    skip: int = 0,
    most: int = 50,
    patience: float = PATIENCE,
) -> Page:
    """Return one page.

    Args:
        conn: in a transaction.
        table: which.
        query: filters, search and order.
        with_address: adds the column `email`; only for those who may see addresses.
        skip: rows to leave out, less than `COUNTED`.
        most: rows to return, at most 1,000.
        patience: seconds that a page of a large table may take.

    Raises:
        WrongFilterError: the query names what is not there, or sorts by what cannot be sorted.
    """
    shown = definition(table)
    span = _span_of_runs(conn, query) if shown.is_large else None
    page = _Search(conn, shown, query, min(skip, COUNTED), min(most, MOST), patience, span).page()
    rows = _with_addresses(conn, shown, page.rows) if with_address else page.rows
    return Page(rows, page.total, page.is_more, page.searched_back_to)


@database_errors()
def one(conn: Connection, table: Table, key: Any, *, with_address: bool = False) -> Row | None:
    """Return the row of a key; None: there is none."""
    shown = definition(table)
    rows = statement(shown, Query([Filter(shown.key, Op.EQUALS, key)])).limit(1)
    found = [dict(each) for each in conn.execute(rows).mappings()]
    return next(iter(_with_addresses(conn, shown, found) if with_address else found), None)


def stream(
    conn: Connection, table: Table, query: Query = EVERYTHING, *, with_address: bool = False
) -> Iterator[Row]:
    """Yield everything that fits, in order, a few thousand rows in memory at a time.

    Raises:
        WrongFilterError: as `find`.
    """
    shown = definition(table)
    rows = ordered(statement(shown, query), shown, query)
    with database_errors():
        read = conn.execute(rows, execution_options={"yield_per": _AT_A_TIME}).mappings()
        for some in read.partitions(_AT_A_TIME):
            found = [dict(each) for each in some]
            yield from _with_addresses(conn, shown, found) if with_address else found


@dataclass(frozen=True, slots=True)
class _Search:
    """One page of one query. Every statement about a large table ends when its time is over."""

    conn: Connection
    shown: Definition
    query: Query
    skip: int
    most: int
    patience: float
    span: tuple[datetime, datetime] | None

    def page(self) -> Page:
        """Look, and count what was looked at."""
        if not self.shown.is_large:
            with without_compiling(self.conn):
                return self._filled(self._read(self._rows(None)), None)
        newest = self.conn.execute(sa.select(sa.func.max(self._time))).scalar()
        if newest is None:
            return Page()
        return self._filled(*self._found(newest))

    def _found(self, newest: datetime) -> tuple[list[Row], datetime | None]:
        """Look at everything where an index helps, else, or if it does not, further and further."""
        until = time.monotonic() + _FOR_LOOKING * self.patience
        if is_indexed(self.shown, self.query):
            rows = self._within(self._rows(None), _FOR_EVERYTHING * self.patience)
            if rows is not None:
                return rows, None
        return self._widening(newest, until)

    def _widening(self, newest: datetime, until: float) -> tuple[list[Row], datetime | None]:
        """Look further and further back, until there is enough or the time is over."""
        rows: list[Row] = []
        reached: datetime | None = newest
        for days in _WIDENING:
            bound = _before(newest, days)
            found = self._within(self._rows(bound), until - time.monotonic())
            if found is None:
                break
            rows, reached = found, bound
            if self._is_newest_first and len(rows) > self.most:
                break
        return rows, reached

    def _filled(self, rows: list[Row], reached: datetime | None) -> Page:
        """Make a page of what was found, at most one row more than asked for."""
        seen = self.skip + len(rows)
        counted = self._count(reached)
        total = max(seen if counted is None else counted, seen)
        is_more = total > COUNTED or counted is None or reached is not None
        return Page(rows[: self.most], min(total, COUNTED), is_more, reached)

    def _count(self, bound: datetime | None) -> int | None:
        """Count, up to one more than `COUNTED`; None: the time was over."""
        some = self._fitting(bound).with_only_columns(sa.literal(1)).limit(COUNTED + 1)
        count = sa.select(sa.func.count().label("rows")).select_from(some.subquery())
        if not self.shown.is_large:
            return int(self._read(count)[0]["rows"])
        found = self._within(count, _FOR_COUNTING * self.patience)
        return None if found is None else int(found[0]["rows"])

    def _rows(self, bound: datetime | None) -> Select[Any]:
        rows = ordered(self._fitting(bound), self.shown, self.query)
        return rows.offset(self.skip).limit(self.most + 1)

    def _fitting(self, bound: datetime | None) -> Select[Any]:
        rows = statement(self.shown, self.query)
        if self.span is not None:
            rows = rows.where(self._time.between(*self.span))
        return rows if bound is None else rows.where(self._time >= bound)

    def _within(self, rows: Select[Any], seconds: float) -> list[Row] | None:
        """Read rows in so many seconds; None: it takes longer."""
        if seconds < _WORTH_IT:
            return None
        savepoint = self.conn.begin_nested()
        try:
            self.conn.execute(text(_LIMITS), {"milliseconds": str(max(1, int(seconds * 1000)))})
            return self._read(rows)
        except OperationalError as error:
            if not isinstance(error.orig, psycopg2.errors.QueryCanceled):
                raise
            return None
        finally:
            savepoint.rollback()  # and the settings with it

    def _read(self, rows: Select[Any]) -> list[Row]:
        return [dict(each) for each in self.conn.execute(rows).mappings()]

    @property
    def _time(self) -> "sa.ColumnClause[datetime]":
        return relation(self.shown).c[self.shown.newest]

    @property
    def _is_newest_first(self) -> bool:
        return (self.query.sort or self.shown.newest) == self.shown.newest and self.query.descending


def _span_of_runs(conn: Connection, query: Query) -> tuple[datetime, datetime] | None:
    """Return when the runs that are asked for worked: only those months have to be looked at."""
    for each in query.filters:
        if each.column == "sync_run_id" and each.op in (Op.EQUALS, Op.IN):
            asked = each.value if each.op is Op.IN else [each.value]
            runs = [int(run) for run in asked if str(run).isdigit() and int(run) < 2**63]
            row = conn.execute(text(_SPAN), {"runs": runs}).one()
            return None if row.first is None else (row.first, row.last)
    return None


def _before(newest: datetime, days: int | None) -> datetime | None:
    return None if days is None else newest - timedelta(days=days)


def _with_addresses(
    conn: Connection, shown: Definition, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """Add the addresses of the people of some rows, in the order of the columns."""
    columns = shown.shown(with_address=True)
    if not any(each.is_address for each in columns):
        return [dict(row) for row in rows]
    people = sorted({row["person_id"] for row in rows if row["person_id"] is not None})
    known = {row.id: row.email for row in conn.execute(text(_ADDRESSES), {"people": people})}
    return [
        {
            each.name: known.get(row["person_id"]) if each.is_address else row[each.name]
            for each in columns
        }
        for row in rows
    ]


_AT_A_TIME: Final = 2_000
# Parts of the patience, and how many days back from the newest row.
_FOR_EVERYTHING: Final = 0.4
_FOR_LOOKING: Final = 0.75
_FOR_COUNTING: Final = 0.25
# The way back to the savepoint has the same limit as the search: a busy machine needs that much.
_WORTH_IT: Final = 0.05
_WIDENING: Final = (1, 8, 64, None)
# Compiling a plan over all months takes longer than running it for one page.
_LIMITS: Final = """
SELECT set_config('statement_timeout', :milliseconds, true), set_config('jit', 'off', true)
"""
# Workers' clocks may differ; a run that is open has no end yet.
_SPAN: Final = """
SELECT min(started_at) - interval '1 day' AS first,
       max(coalesce(closed_at, now())) + interval '1 day' AS last
FROM opt_out_sync.sync_run WHERE id = ANY (CAST(:runs AS bigint[]))
"""
_ADDRESSES: Final = "SELECT id, email FROM engagement.person WHERE id = ANY (:people)"
