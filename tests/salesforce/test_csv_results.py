import csv
import io
import traceback
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.salesforce.csv_results import read_csv
from include.salesforce.errors import IncompleteJobError

TYPES = {"Id": pa.string(), "sf__Error": pa.string(), "Flag": pa.bool_()}
# no NUL: Salesforce never sends one; no surrogates: they are not UTF-8; CR alone ends no line
TEXT = st.text(st.characters(blacklist_characters="\0\r", blacklist_categories=("Cs",)), min_size=1)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "result.csv"


def rendered(rows: list[tuple[str, str, bool]], line_end: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=line_end)
    writer.writerow(["sf__Id", "Flag", "sf__Error", "Id"])
    writer.writerows([("", str(flag).lower(), error, id_) for id_, error, flag in rows])
    return out.getvalue().encode()


@given(
    rows=st.lists(st.tuples(TEXT, TEXT, st.booleans()), max_size=20),
    line_end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_a_result_reads_back_whatever_its_quotes_line_ends_and_mark(
    file: Path, rows: list[tuple[str, str, bool]], line_end: str, mark: bytes
) -> None:
    file.write_bytes(mark + rendered(rows, line_end))

    table = read_csv(file, TYPES)

    assert table.schema == pa.schema(list(TYPES.items()))
    assert list(zip(*(table[name].to_pylist() for name in TYPES), strict=True)) == rows


def test_line_breaks_in_values_are_kept_also_where_the_parser_cuts_a_long_file(file: Path) -> None:
    """Arrow reads a megabyte at a time and would cut between rows that are none."""
    rows = [(f"id-{number}", "first\n\nlast\n" * 20, True) for number in range(20_000)]
    file.write_bytes(rendered(rows, "\n"))

    table = read_csv(file, TYPES)

    assert table["Id"].to_pylist() == [row[0] for row in rows]
    assert set(table["sf__Error"].to_pylist()) == {rows[0][1]}


def test_an_empty_value_is_null(file: Path) -> None:
    file.write_bytes(b'"Id","sf__Error","Flag"\n"a","",""\n')

    assert read_csv(file, TYPES).to_pylist() == [{"Id": "a", "sf__Error": None, "Flag": None}]


@pytest.mark.parametrize("content", [b"", b'"Id","sf__Error","Flag"\n'])
def test_no_rows_are_no_rows(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert read_csv(file, TYPES).schema == pa.schema(list(TYPES.items()))
    assert read_csv(file, TYPES).num_rows == 0


@pytest.mark.parametrize(
    "content",
    [
        b'"Id","Flag"\n"a","true"\n',  # a column is missing
        b'"Id","sf__Error","Flag"\n"a","mail of ann@example.com"\n',  # cut short
        b'"Id","sf__Error","Flag"\n"a","","ann@example.com"\n',  # not a boolean
        b"<html>ann@example.com</html>",
    ],
)
def test_a_damaged_result_is_refused_without_quoting_it(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    with pytest.raises(IncompleteJobError) as caught:
        read_csv(file, TYPES)

    assert "ann@example.com" not in "".join(traceback.format_exception(caught.value))
