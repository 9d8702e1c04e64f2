"""Files to take away: what a spreadsheet and a data frame read back."""

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.reports.columns import Column, Kind
from include.reports.export import to_csv, to_parquet

COLUMNS = [
    Column("id", "Id", Kind.NUMBER),
    Column("name", "Name", Kind.TEXT),
    Column("is_on", "On", Kind.FLAG),
    Column("at", "At", Kind.TIME),
    Column("day", "Day", Kind.DATE),
    Column("hours", "Hours", Kind.DECIMAL),
]
AT = datetime(2026, 11, 25, 18, 0, 1, 500_000, tzinfo=UTC)
ROW = {"id": 1, "name": "plain", "is_on": True, "at": AT, "day": date(2026, 11, 25), "hours": 0.5}
EMPTY = dict.fromkeys(ROW)


def read_csv(rows) -> list[dict[str, str]]:
    content = b"".join(to_csv(rows, COLUMNS)).decode()
    return list(csv.DictReader(io.StringIO(content, newline="")))


def read_parquet(rows) -> pa.Table:
    return pq.read_table(io.BytesIO(b"".join(to_parquet(rows, COLUMNS))))


def test_a_csv_says_everything_in_plain_words() -> None:
    west = AT.astimezone(timezone(timedelta(hours=-8)))
    assert read_csv([ROW | {"at": west}, EMPTY]) == [
        {
            "id": "1",
            "name": "plain",
            "is_on": "true",
            "at": "2026-11-25T18:00:01.500000Z",
            "day": "2026-11-25",
            "hours": "0.5",
        },
        dict.fromkeys(ROW, ""),
    ]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", "=1+1@evil.example", "\uff1d1+1"],
)
def test_no_spreadsheet_executes_a_text(text: str) -> None:
    (row,) = read_csv([ROW | {"name": text}])
    assert row["name"] == f"'{text}"


@pytest.mark.parametrize("text", ['a "quoted", text', "two\nlines", "ünï", "1=1", "a@b.example"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    (row,) = read_csv([ROW | {"name": text}])
    assert row["name"] == text


def test_a_negative_number_is_a_number() -> None:
    (row,) = read_csv([ROW | {"id": -5, "hours": -0.5}])
    assert (row["id"], row["hours"]) == ("-5", "-0.5")


def test_a_document_is_json() -> None:
    (row,) = read_csv([ROW | {"name": {"b": 1, "a": True}}])
    assert row["name"] == '{"a": true, "b": 1}'


def test_a_parquet_file_keeps_the_types() -> None:
    table = read_parquet([ROW, EMPTY])
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table.to_pylist() == [ROW, EMPTY]


@pytest.mark.parametrize("write", [to_csv, to_parquet])
def test_many_rows_come_in_pieces(write) -> None:
    asked = 0

    def rows():
        nonlocal asked
        for number in range(50_000):
            asked += 1
            yield ROW | {"id": number}

    pieces = write(rows(), COLUMNS)
    next(pieces)
    assert asked <= 20_000  # nothing waits for the last row
    rest = list(pieces)
    assert len(rest) >= 2
    if write is to_parquet:
        assert read_parquet(rows()).num_rows == 50_000


@pytest.mark.parametrize("read", [read_csv, lambda rows: read_parquet(rows).to_pylist()])
def test_a_file_without_rows_has_its_columns(read) -> None:
    assert read([]) == []
    assert b"".join(to_csv([], COLUMNS)) == b"id,name,is_on,at,day,hours\r\n"
