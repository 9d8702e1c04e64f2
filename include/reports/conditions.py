"""Turns what somebody looks for into SQL: every name is one of ours, every value a parameter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Select

from include.domain.conflicts import Code
from include.domain.errors import PermanentSyncError
from include.domain.ids import to_18
from include.reports.columns import Column, Definition, Kind, Table
from include.reports.tables import definition


class WrongFilterError(PermanentSyncError):
    """A filter names no column, or a value that the column cannot have."""


class Op(StrEnum):
    """How a column is compared. CONTAINS and STARTS do not tell upper from lower case."""

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
        search: one word: a person's id, a run's id, a Salesforce Id (15 or 18), or the beginning
            of a code; in a small table any text. Empty: everything. Addresses are not searched for
            here: the person page does, and notes it.
        sort: column to sort by; None: the newest first.
        descending: the other way round.
    """

    filters: Sequence[Filter] = ()
    search: str = ""
    sort: str | None = None
    descending: bool = True


def statement(shown: Definition, query: Query) -> Select[Any]:
    """Return the rows that fit, without an order.

    Raises:
        WrongFilterError: the query names what is not there, or a value that cannot be.
    """
    columns = [each for each in shown.columns if not each.is_address]
    source = relation(shown)
    rows = sa.select(*(source.c[each.name] for each in columns)).select_from(source)
    return rows.where(
        *(_condition(shown, source, each) for each in query.filters),
        *_searched(shown, source, query.search.strip()),
    )


def ordered(rows: Select[Any], shown: Definition, query: Query) -> Select[Any]:
    """Add the order: that of an index, whose last column tells equal rows apart.

    Raises:
        WrongFilterError: the column cannot be sorted by.
    """
    name = query.sort or shown.newest
    if name not in shown.orders:
        raise WrongFilterError(f"{shown.title}: nothing is sorted by {_known(shown, name)}")
    source = relation(shown)
    columns = [source.c[each] for each in dict.fromkeys(shown.orders[name])]
    return rows.order_by(*(each.desc() if query.descending else each.asc() for each in columns))


def is_indexed(shown: Definition, query: Query) -> bool:
    """Tell whether the database finds the rows of a large table without reading all of them."""
    if not query.filters and not query.search:
        return True
    by_index = {each.column for each in query.filters if each.op in _BY_INDEX}
    return bool(query.search) or bool(by_index & shown.indexed)


def relation(shown: Definition) -> sa.TableClause:
    """Return what a table is read from: always the same object, so that it is read once."""
    return _relation(shown.table)


@cache
def _relation(table: Table) -> sa.TableClause:
    shown = definition(table)
    schema, _, name = shown.relation.partition(".")
    names = [each.name for each in shown.columns if not each.is_address]
    return sa.table(name, *(sa.column(each) for each in names), schema=schema)


def _condition(shown: Definition, source: sa.TableClause, wanted: Filter) -> ColumnElement[bool]:
    column = shown.column(wanted.column)
    if column is None:
        raise WrongFilterError(f"{shown.title}: there is no such column to filter by")
    if wanted.op not in _OPS_OF[column.kind]:
        raise WrongFilterError(f"{shown.title}: {column.label} cannot be compared in that way")
    return _COMPARE[wanted.op](source.c[column.name], column, wanted.value)


def _value(column: Column, value: Any) -> Any:
    """Read a value as the column has it.

    Raises:
        WrongFilterError: it cannot be one; the value is not quoted.
    """
    try:
        read = _READ[column.kind](value)
    except (LookupError, ValueError, TypeError, OverflowError):
        raise WrongFilterError(f"{column.label}: {_MUST_BE[column.kind]}") from None
    return _as_record(read) if column.name == "record_id" else read


def _as_record(value: str) -> str:
    """Complete a Salesforce Id of 15 characters."""
    try:
        return to_18(value)
    except ValueError:
        return value


def _number(value: Any) -> int:
    number = int(str(value))
    if abs(number) >= 2**63:
        raise ValueError("no bigint")
    return number


def _flag(value: Any) -> bool:
    return _FLAGS[str(value).strip().lower()]


def _time(value: Any) -> datetime:
    read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if "\0" in str(value):
        raise ValueError("PostgreSQL knows no NUL")
    return str(value)


def _searched(
    shown: Definition, source: sa.TableClause, word: str
) -> Iterable[ColumnElement[bool]]:
    if not word:
        return []
    found = [*_by_number(source, word), *_by_record(source, word), *_by_code(shown, source, word)]
    if not shown.is_large:
        found += [source.c[each.name].icontains(word, autoescape=True) for each in _texts(shown)]
    return [sa.or_(*found) if found else sa.false()]


def _by_number(source: sa.TableClause, word: str) -> list[ColumnElement[bool]]:
    if not (word.isascii() and word.isdigit() and int(word) < 2**63):
        return []
    return [source.c[name] == int(word) for name in _NUMBERS if name in source.c]


def _by_record(source: sa.TableClause, word: str) -> list[ColumnElement[bool]]:
    try:
        return [source.c.record_id == to_18(word)] if "record_id" in source.c else []
    except ValueError:
        return []


def _by_code(shown: Definition, source: sa.TableClause, word: str) -> list[ColumnElement[bool]]:
    begins = word.upper().replace(" ", "_").replace("-", "_")
    codes = [each.value for each in Code if each.value.startswith(begins)]
    return [source.c.code.in_(codes)] if shown.is_large and "code" in source.c and codes else []


def _texts(shown: Definition) -> list[Column]:
    return [
        each
        for each in shown.columns
        if each.kind in (Kind.TEXT, Kind.CHOICE) and not each.is_address and each.name != "document"
    ]


def _known(shown: Definition, name: str) -> str:
    """Name a column that exists; never repeat what somebody made up."""
    column = shown.column(name)
    return column.label if column is not None else "a column that does not exist"


_NUMBERS: Final = ("person_id", "sync_run_id", "id", "version")
_FLAGS: Final = {
    "true": True, "yes": True, "1": True, "t": True,
    "false": False, "no": False, "0": False, "f": False,
}  # fmt: skip
_READ: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.NUMBER: _number,
    Kind.DECIMAL: float,
    Kind.TEXT: _text,
    Kind.CHOICE: _text,
    Kind.FLAG: _flag,
    Kind.TIME: _time,
    Kind.DATE: lambda value: value if type(value) is date else date.fromisoformat(str(value)),
}
_MUST_BE: Final = {
    Kind.NUMBER: "must be a whole number",
    Kind.DECIMAL: "must be a number",
    Kind.TEXT: "must be a text",
    Kind.CHOICE: "must be one of the choices",
    Kind.FLAG: "must be yes or no",
    Kind.TIME: "must be a time like 2026-11-25T18:00:00Z",
    Kind.DATE: "must be a day like 2026-11-25",
}
_BY_INDEX: Final = frozenset({Op.EQUALS, Op.IN})
_EMPTY: Final = frozenset({Op.IS_EMPTY, Op.IS_NOT_EMPTY})
_SAME: Final = frozenset({Op.EQUALS, Op.DIFFERS, Op.IN}) | _EMPTY
_ORDERED: Final = _SAME | {Op.AT_LEAST, Op.AT_MOST, Op.BEFORE, Op.AFTER}
_WORDS: Final = _SAME | {Op.CONTAINS, Op.STARTS}
_OPS_OF: Final = {
    Kind.NUMBER: _ORDERED,
    Kind.DECIMAL: _ORDERED,
    Kind.TEXT: _WORDS,
    Kind.CHOICE: _WORDS,
    Kind.FLAG: _SAME,
    Kind.TIME: _ORDERED,
    Kind.DATE: _ORDERED,
}
_Compare = Callable[[Any, Column, Any], ColumnElement[bool]]
_COMPARE: Final[Mapping[Op, _Compare]] = {
    Op.EQUALS: lambda source, column, value: source == _value(column, value),
    Op.DIFFERS: lambda source, column, value: source.is_distinct_from(_value(column, value)),
    Op.CONTAINS: lambda source, column, value: source.icontains(
        _text_of(column, value), autoescape=True
    ),
    Op.STARTS: lambda source, column, value: source.istartswith(
        _text_of(column, value), autoescape=True
    ),
    Op.AT_LEAST: lambda source, column, value: source >= _value(column, value),
    Op.AT_MOST: lambda source, column, value: source <= _value(column, value),
    Op.BEFORE: lambda source, column, value: source < _value(column, value),
    Op.AFTER: lambda source, column, value: source > _value(column, value),
    Op.IN: lambda source, column, values: source.in_([_value(column, each) for each in values]),
    Op.IS_EMPTY: lambda source, *_: source.is_(None),
    Op.IS_NOT_EMPTY: lambda source, *_: source.is_not(None),
}


def _text_of(column: Column, value: Any) -> str:
    """Read a part of a text, which is no whole value of the column."""
    try:
        return _text(value)
    except ValueError:
        raise WrongFilterError(f"{column.label}: {_MUST_BE[column.kind]}") from None
