"""From what a form of filters says to what the database is asked, and back into the form."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from include.reports.columns import Column, Definition, Kind
from include.reports.search import Filter, Op, Query
from include.web.forms import text

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
    Kind.DECIMAL: {Op.AT_LEAST: "is at least", Op.AT_MOST: "is at most"},
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


def fields_of(parameters: Mapping[str, str], shown: Definition) -> list[Field]:
    """Return the filter of every column but addresses, with what was asked.

    Args:
        parameters: of the address of the page.
        shown: the table.
    """
    return [
        _field(parameters, column, is_indexed=column.name in shown.indexed)
        for column in shown.columns
        if not column.is_address
    ]


def query_of(parameters: Mapping[str, str], shown: Definition) -> Query:
    """Return what the parameters of an address ask the database for; it judges the values."""
    found = [each for asked in fields_of(parameters, shown) for each in _filters(asked)]
    return Query(
        filters=found,
        search=text(parameters, "search"),
        sort=parameters.get("sort") or None,
        descending=parameters.get("order", "down") != "up",
    )


def _field(parameters: Mapping[str, str], column: Column, *, is_indexed: bool) -> Field:
    operators = OPERATORS[column.kind]
    if is_indexed and Op.EQUALS in operators:  # what is found at once is proposed first
        operators = {Op.EQUALS: operators[Op.EQUALS], **operators}
    asked = parameters.get(f"{column.name}.op", "")
    op = Op(asked) if asked in {each.value for each in operators} else next(iter(operators))
    return Field(
        column,
        operators,
        op,
        text(parameters, column.name),
        text(parameters, f"{column.name}.until"),
    )


def _filters(asked: Field) -> Iterator[Filter]:
    name = asked.column.name
    if asked.op in WITHOUT_VALUE:
        yield Filter(name, asked.op)
        return
    if asked.value:
        yield Filter(name, asked.op, asked.value)
    if asked.until:  # the second box of a time: a span is what people look for
        op = Op.BEFORE if asked.column.kind is Kind.TIME else Op.AT_MOST
        yield Filter(name, op, asked.until)
