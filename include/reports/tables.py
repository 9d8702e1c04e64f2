"""The tables of the audit as a person browses them: names, columns, kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
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
        columns: in order, addresses included.
        key: names a row.
        newest: the column by which it is sorted unless asked otherwise, newest first.
    """

    table: Table
    title: str
    about: str
    columns: Sequence[Column]
    key: str
    newest: str

    def shown(self, *, with_address: bool) -> list[Column]:
        """Return the columns that somebody may see."""
        raise NotImplementedError


def definition(table: Table) -> Definition:
    """Return the definition of a table."""
    raise NotImplementedError
