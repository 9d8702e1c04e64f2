"""The syntax tree of a SOQL query."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """A name in the query and where it stands: errors point at it."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A value, still as text; ``kind`` is STRING, DATETIME, DATE, NUMBER, TRUE, ..., RELATIVE."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``COUNT(Id) total``; the alias is None where the query gives none."""

    function: str
    field: Name
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class FieldSet:
    """``FIELDS(ALL)``, ``FIELDS(STANDARD)`` or ``FIELDS(CUSTOM)``."""

    scope: str


Selected = Name | Aggregate | FieldSet


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field operator value``; the operators include LIKE."""

    field: Name
    operator: str
    value: Literal


@dataclass(frozen=True, slots=True)
class Membership:
    """``field IN (...)`` or ``field NOT IN (...)``."""

    field: Name
    values: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """``field IN (SELECT ...)`` or ``field NOT IN (SELECT ...)``."""

    field: Name
    selected: Name
    object_name: Name
    where: Condition | None
    negated: bool


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR; mixing both needs parentheses [documented]."""

    word: str
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """``NOT condition``."""

    part: Condition


Condition = Comparison | Membership | SemiJoin | Junction | Negation


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of ORDER BY; nulls come first unless said otherwise [documented]."""

    field: Name | Aggregate
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One query; ``fields`` empty means ``COUNT()``. ``alias`` is what FROM calls the object."""

    text: str
    fields: tuple[Selected, ...]
    object_name: Name
    alias: str | None
    where: Condition | None
    groups: tuple[Name, ...]
    order: tuple[Sort, ...]
    limit: int | None
    offset: int | None

    @property
    def is_aggregate(self) -> bool:
        """Whether it yields groups instead of records."""
        return bool(self.groups) or any(isinstance(each, Aggregate) for each in self.fields)
