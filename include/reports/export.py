"""Files to take away: CSV that no spreadsheet executes, and Parquet. Both as they are read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from include.reports.tables import Column


def to_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield a CSV file in UTF-8, a few hundred rows at a time; the first line names the columns.

    Times are ISO 8601 in UTC, flags `true` or `false`, nothing is empty. A text that a spreadsheet
    would take for a formula gets an apostrophe in front.
    """
    raise NotImplementedError


def to_parquet(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield a Parquet file, a row group at a time, with a type per column."""
    raise NotImplementedError
