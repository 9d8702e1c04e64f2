"""Tables and times, as a terminal shows them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import pandas as pd

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula when a cell begins with it."""


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in columns; the first row is the heading."""
    lines = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def utc(moment: datetime | None) -> str:
    """Return a time to the second, a dash for none."""
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def for_people(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose texts no spreadsheet runs: such a text gets an apostrophe in front.

    For files that people open; never for what is uploaded to Salesforce.
    """
    return pd.DataFrame({name: column.map(_harmless) for name, column in rows.items()})


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
