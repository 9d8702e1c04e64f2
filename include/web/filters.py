"""From what a form of filters says to what the database is asked, and back into the form."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from include.reports.search import Filter, Op, Query, WrongFilterError
from include.reports.tables import Column, Kind

OPERATORS: Final[Mapping[Kind, Mapping[Op, str]]] = {
    Kind.TEXT: {
        Op.CONTAINS: "contains",
        Op.STARTS: "begins with",
        Op.EQUALS: "is",
        Op.DIFFERS: "is not",
        Op.IS_EMPTY: "is empty",
        Op.IS_NOT_EMPTY: "is not empty",
    },
    Kind.NUMBER: {
        Op.EQUALS: "is",
        Op.DIFFERS: "is not",
        Op.AT_LEAST: "is at least",
        Op.AT_MOST: "is at most",
        Op.IS_EMPTY: "is empty",
        Op.IS_NOT_EMPTY: "is not empty",
    },
    Kind.CHOICE: {Op.EQUALS: "is", Op.DIFFERS: "is not", Op.IS_EMPTY: "is empty"},
    Kind.FLAG: {Op.EQUALS: "is", Op.IS_EMPTY: "is empty"},
    Kind.TIME: {Op.AT_LEAST: "from", Op.BEFORE: "before", Op.IS_EMPTY: "is empty"},
    Kind.DATE: {Op.AT_LEAST: "from", Op.AT_MOST: "up to", Op.EQUALS: "is"},
}
"""How a column of each kind can be asked about, the usual way first."""
WITHOUT_VALUE: Final = frozenset({Op.IS_EMPTY, Op.IS_NOT_EMPTY})


@dataclass(frozen=True, slots=True)
class Field:
    """The filter of one column, as the form shows it."""

    column: Column
    operators: Mapping[Op, str]
    op: Op
    value: str
    until: str

    @property
    def is_set(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.value or self.until) or self.op in WITHOUT_VALUE


def fields_of(parameters: Mapping[str, str], columns: Sequence[Column]) -> list[Field]:
    """Return the filter of every column, with what was asked."""
    return [_field(parameters, column) for column in columns]


def query_of(parameters: Mapping[str, str], columns: Sequence[Column]) -> Query:
    """Return what the parameters of an address ask the database for.

    Raises:
        WrongFilterError: a value is none that its column can have.
    """
    found = [each for column in columns for each in _filters(_field(parameters, column))]
    return Query(
        filters=found,
        search=parameters.get("search", "").strip(),
        sort=parameters.get("sort") or None,
        descending=parameters.get("order", "down") != "up",
    )


def _field(parameters: Mapping[str, str], column: Column) -> Field:
    operators = OPERATORS[column.kind]
    asked = parameters.get(f"{column.name}.op", "")
    op = Op(asked) if asked in {each.value for each in operators} else next(iter(operators))
    return Field(
        column,
        operators,
        op,
        parameters.get(column.name, "").strip(),
        parameters.get(f"{column.name}.until", "").strip(),
    )


def _filters(asked: Field) -> Iterator[Filter]:
    name = asked.column.name
    if asked.op in WITHOUT_VALUE:
        yield Filter(name, asked.op)
        return
    if asked.value:
        yield Filter(name, asked.op, _value(asked.column, asked.value))
    if asked.until:  # the second box of a time: a span is what people look for
        op = Op.BEFORE if asked.column.kind is Kind.TIME else Op.AT_MOST
        yield Filter(name, op, _value(asked.column, asked.until))


def _value(column: Column, text: str) -> Any:
    try:
        return READERS[column.kind](text)
    except ValueError:
        raise WrongFilterError(
            f"{column.label}: {WANTED[column.kind]} was expected, not what was typed"
        ) from None


def _flag(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError
    return text == "yes"


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


READERS: Final[Mapping[Kind, Callable[[str], Any]]] = {
    Kind.TEXT: str,
    Kind.CHOICE: str,
    Kind.NUMBER: lambda text: int(text.replace(",", "")),
    Kind.FLAG: _flag,
    Kind.TIME: _time,
    Kind.DATE: date.fromisoformat,
}
WANTED: Final[Mapping[Kind, str]] = {
    Kind.NUMBER: "a whole number",
    Kind.FLAG: "yes or no",
    Kind.TIME: "a time in UTC, like 2026-11-24T20:00",
    Kind.DATE: "a date, like 2026-11-24",
    Kind.TEXT: "a text",
    Kind.CHOICE: "one of the choices",
}
