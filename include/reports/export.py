"""Files to take away: CSV that no spreadsheet executes, and Parquet. Both as they are read."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from include.reports.columns import Column, Kind

Rows = Iterable[Mapping[str, Any]]


def to_csv(rows: Rows, columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield a CSV file in UTF-8, a few hundred rows at a time; the first line names the columns.

    Times are ISO 8601 in UTC, flags `true` or `false`, nothing is empty. A text that a spreadsheet
    would take for a formula gets an apostrophe in front: this is a file for people.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    for some in _batches(rows, _CSV_ROWS):
        writer.writerows([_cell(row[column.name]) for column in columns] for row in some)
        yield _drained(buffer)
    yield _drained(buffer)


def to_parquet(rows: Rows, columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield a Parquet file, a row group at a time, with a type per column (times in UTC)."""
    schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns])
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for some in _batches(rows, _PARQUET_ROWS):
            writer.write_batch(_batch(some, columns, schema))
            yield sink.drained()
    yield sink.drained()


class _Sink(io.RawIOBase):
    """Keeps what is written until somebody takes it away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep a copy."""
        self._parts.append(bytes(data))
        self._written += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        """Return how much was written since the beginning: Parquet notes where things are."""
        return self._written

    def drained(self) -> bytes:
        """Hand over what was written since the last time."""
        taken, self._parts = b"".join(self._parts), []
        return taken


def _batches(rows: Rows, size: int) -> Iterator[list[Mapping[str, Any]]]:
    source = iter(rows)
    while some := list(islice(source, size)):
        yield some


def _drained(buffer: io.StringIO) -> bytes:
    taken = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return taken


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, int | float | date):
        return str(value)
    return _harmless(_text(value))


def _harmless(value: str) -> str:
    """Keep a spreadsheet from executing a text (OWASP, CSV injection)."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _batch(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], schema: pa.Schema
) -> pa.RecordBatch:
    arrays = [
        pa.array([_parquet_value(row[column.name], column.kind) for row in rows], kind.type)
        for column, kind in zip(columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _parquet_value(value: Any, kind: Kind) -> Any:
    if value is None or kind not in (Kind.TEXT, Kind.CHOICE):
        return value
    return _text(value)


_CSV_ROWS: Final = 500
_PARQUET_ROWS: Final = 20_000
_WIDE: Final = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # the same signs, as wide as a Chinese one
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", *_WIDE)
_TYPES: Final = {
    Kind.NUMBER: pa.int64(),
    Kind.DECIMAL: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.CHOICE: pa.string(),
    Kind.FLAG: pa.bool_(),
    Kind.TIME: pa.timestamp("us", "UTC"),
    Kind.DATE: pa.date32(),
}
