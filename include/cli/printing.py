"""Tables and times, as a terminal shows them."""

from collections.abc import Iterable
from datetime import UTC, datetime


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
