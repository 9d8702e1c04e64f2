"""Searching the audit: filters on every column, sorting and paging in the database, under a second.

Ten million rows are never counted or sorted as a whole. A count stops at `COUNTED`. What an index
answers is answered from everything; what none answers is looked for from the newest rows backwards
while time lasts, and `searched_back_to` says how far that was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from include.domain.errors import PermanentSyncError
from include.reports.tables import Table

COUNTED: Final = 10_000
"""Rows that are counted, and can be paged through. More are narrowed by a filter, or exported."""

Row = Mapping[str, Any]


class WrongFilterError(PermanentSyncError):
    """A filter names no column, or a value that the column cannot have."""


class Op(StrEnum):
    """How a column is compared. Texts are compared without upper and lower case."""

    EQUALS = "eq"
    DIFFERS = "ne"
    CONTAINS = "contains"
    STARTS = "starts"
    AT_LEAST = "ge"
    AT_MOST = "le"
    BEFORE = "lt"
    AFTER = "gt"
    IN = "in"
    IS_EMPTY = "empty"
    IS_NOT_EMPTY = "not_empty"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `value` is a list for IN, and ignored for IS_EMPTY and IS_NOT_EMPTY."""

    column: str
    op: Op
    value: Any = None


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for.

    Attributes:
        filters: all must hold.
        search: one word: a person's id, a Salesforce Id (15 or 18), a run's id, or a code. Empty:
            everything. Addresses are not searched for here: the person page does, and notes it.
        sort: column to sort by; None: the newest first.
        descending: the other way round.
    """

    filters: Sequence[Filter] = ()
    search: str = ""
    sort: str | None = None
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows.

    Attributes:
        rows: one mapping per row, with the columns that may be seen.
        total: how many there are, at most `COUNTED`.
        is_more: there are more than `total`.
        searched_back_to: older rows were not looked at (UTC); None: everything was.
    """

    rows: Sequence[Row] = field(default=())
    total: int = 0
    is_more: bool = False
    searched_back_to: datetime | None = None


def find(
    conn: Connection,
    table: Table,
    query: Query = Query(),
    *,
    with_address: bool = False,
    skip: int = 0,
    most: int = 50,
) -> Page:
    """Return one page.

    Args:
        conn: in a transaction.
        table: which.
        query: filters, search and order.
        with_address: adds the column `email`; only for those who may see addresses.
        skip: rows to leave out, less than `COUNTED`.
        most: rows to return, at most 1,000.

    Raises:
        WrongFilterError: the query names what is not there, or sorts by what cannot be sorted.
    """
    raise NotImplementedError


def one(conn: Connection, table: Table, key: Any, *, with_address: bool = False) -> Row | None:
    """Return the row of a key; None: there is none."""
    raise NotImplementedError


def stream(
    conn: Connection,
    table: Table,
    query: Query = Query(),
    *,
    with_address: bool = False,
) -> Iterator[Row]:
    """Yield everything that fits, in order, a few thousand rows in memory at a time.

    Raises:
        WrongFilterError: as `find`.
    """
    raise NotImplementedError
