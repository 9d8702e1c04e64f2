"""The uploaded CSV of a bulk job: its columns, and each row as values or as a refusal."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from local.salesforce_emulator.bulk_progress import JobFailedError
from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.schema import UnknownFieldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.schema import Schema

    Row = list[str]

BATCH = 10_000  # records per batch which Salesforce makes [documented]
_NULL = "#N/A"  # sets a field to nothing; an empty value leaves it alone [documented]
_UNEVEN = RowError("INVALID_INPUT", "the row has not as many values as the header")  # [assumed]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the Id stands, and which field each other column is."""

    id_position: int | None
    fields: tuple[Field | None, ...]

    def record_id(self, row: Sequence[str]) -> str:
        """Return the Id of a row, empty without one."""
        position = self.id_position
        return "" if position is None or position >= len(row) else row[position]

    def values(self, row: Sequence[str]) -> dict[Field, object]:
        """Return what a row says about fields: nothing where it is empty."""
        return {
            field: None if text == _NULL else text
            for field, text in zip(self.fields, row, strict=True)
            if field is not None and text != ""
        }

    def refused(self, row: Sequence[str]) -> RowError | None:
        """Return the refusal of a row that does not fit the header."""
        return None if len(row) == len(self.fields) else _UNEVEN


def columns_of(header: str, delimiter: str, schema: Schema, object_type: ObjectType) -> Columns:
    """Read the header.

    Raises:
        JobFailedError: a column does not exist or is hidden: the whole job fails and no row is
            processed [captured].
    """
    id_position = None
    fields: list[Field | None] = []
    for position, name in enumerate(next(csv.reader([header], delimiter=delimiter), [])):
        if name.lower() == "id":
            id_position = position
            fields.append(None)
            continue
        try:
            fields.append(schema.visible_field(object_type, name))
        except UnknownFieldError as error:
            raise JobFailedError(f"InvalidBatch : Field name not found : {name}") from error
    return Columns(id_position, tuple(fields))


def batches(reader: Iterator[Row], most: int | None) -> Iterator[list[Row]]:
    """Yield the rows in batches, at most so many rows altogether; empty lines are none."""
    rows = islice((row for row in reader if row), most)
    while batch := list(islice(rows, BATCH)):
        yield batch
