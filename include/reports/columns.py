"""What a table of the audit is made of, as a person browses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Table(StrEnum):
    """What can be browsed."""

    NIGHTS = "nights"
    DECISIONS = "decisions"
    WRITES = "writes"
    FAILURES = "failures"
    SETTINGS = "settings"
    JUDGEMENTS = "judgements"
    UNREACHABLE = "unreachable"
    HELD = "held"
    LOOK_UPS = "look_ups"
    THINNED = "thinned"


class Kind(StrEnum):
    """How a column is shown, and which filters make sense."""

    NUMBER = "number"
    DECIMAL = "decimal"
    TEXT = "text"
    CHOICE = "choice"  # `choices` names them
    FLAG = "flag"
    TIME = "time"  # aware, UTC
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: in rows, filters and files.
        label: for people.
        kind: see there.
        choices: of a choice.
        is_sortable: whether the database can sort by it without reading everything.
        is_address: shown only to those who may see addresses.
        is_wide: a sentence: better below the row than in it.
    """

    name: str
    label: str
    kind: Kind
    choices: Sequence[str] = ()
    is_sortable: bool = False
    is_address: bool = False
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """One table.

    Attributes:
        table: its name.
        title: for people.
        about: one sentence: grain and order.
        relation: what is read: a table or view, with its schema.
        columns: in order, addresses included.
        key: the column that names a row.
        newest: the column by which it is sorted unless asked otherwise, newest first.
        orders: by sortable column, all columns to sort by, as an index has them.
        indexed: columns by which a large table finds rows at once; empty: the table is small.
    """

    table: Table
    title: str
    about: str
    relation: str
    columns: Sequence[Column]
    key: str
    newest: str
    orders: Mapping[str, Sequence[str]]
    indexed: frozenset[str] = field(default=frozenset())

    @property
    def is_large(self) -> bool:
        """Whether it may have millions of rows."""
        return bool(self.indexed)

    def shown(self, *, with_address: bool) -> list[Column]:
        """Return the columns that somebody may see."""
        return [each for each in self.columns if with_address or not each.is_address]

    def column(self, name: str) -> Column | None:
        """Return the column of a name, unless it is an address: nobody searches by one here."""
        return next((c for c in self.columns if c.name == name and not c.is_address), None)
