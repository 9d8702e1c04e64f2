"""Reads the CSV of Bulk results with declared types, exactly as many rows as promised."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import csv

from include.salesforce.errors import IncompleteJobError

# values may be quoted and hold line breaks; lines end in LF or CRLF; a byte-order mark is skipped
_PARSE: Final = csv.ParseOptions(newlines_in_values=True)


def read_csv(path: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Read the named columns of a result; other columns are skipped, an empty file has no rows.

    Raises:
        IncompleteJobError: a column is missing, or a row or value is damaged.
    """
    if path.stat().st_size == 0:
        return _schema(types).empty_table()
    try:
        return csv.read_csv(path, parse_options=_PARSE, convert_options=_convert(types))
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        # `from None`: Arrow's message quotes the row, hence personal data
        raise IncompleteJobError(
            "a result of Salesforce is not the CSV that was asked for"
        ) from None


def _schema(types: Mapping[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(types.items()))


def _convert(types: Mapping[str, pa.DataType]) -> csv.ConvertOptions:
    return csv.ConvertOptions(
        column_types=_schema(types),
        include_columns=list(types),
        null_values=[""],
        strings_can_be_null=True,
        true_values=["true", "True", "TRUE"],
        false_values=["false", "False", "FALSE"],
    )
