"""Stored values as JSON records and as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import to_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType


def select_list(fields: Sequence[Field]) -> str:
    """Return the SQL select list of some fields."""
    return ", ".join(field.sql for field in fields)


class RecordRenderer:
    """Turns rows of ``fields`` into JSON records with their ``attributes`` [recorded]."""

    def __init__(self, object_type: ObjectType, fields: Sequence[Field], data_path: str) -> None:
        self._type = object_type.name
        self._url = f"{data_path}/sobjects/{object_type.name}/"
        self._columns = [(field.name, _converter(field)) for field in fields]

    def record(self, record_id: str, row: Sequence[Any]) -> dict[str, Any]:
        """Return one record."""
        record: dict[str, Any] = {"attributes": {"type": self._type, "url": self._url + record_id}}
        for (name, convert), value in zip(self._columns, row, strict=True):
            record[name] = value if convert is None or value is None else convert(value)
        return record


def _converter(field: Field) -> Callable[[Any], Any] | None:
    if field.type == "boolean":
        return bool
    if field.type == "anyType":
        return _any_type
    return to_rest if field.type == "datetime" else None


def _any_type(value: object) -> object:
    """Return a value of a field history: the numbers in the database are checkboxes."""
    return bool(value) if isinstance(value, int) else value


def csv_line_sql(fields: Sequence[Field], delimiter: str) -> str:
    """Return SQL which renders a whole row as one CSV line: every value quoted [captured].

    SQLite does it ten times faster than the csv module could.
    """
    between = f" || '{delimiter}' || "
    return between.join(f"'\"' || {_csv_value_sql(field)} || '\"'" for field in fields)


def _csv_value_sql(field: Field) -> str:
    if field.type == "boolean":
        return f"iif({field.sql}, 'true', 'false')"
    if field.type == "anyType":
        flag = f"iif({field.sql}, 'true', 'false')"
        return f"iif(typeof({field.sql}) = 'integer', {flag}, {_csv_text_sql(field)})"
    if field.type in ("id", "datetime", "date"):
        return f"coalesce({field.sql}, '')"
    return _csv_text_sql(field)


def _csv_text_sql(field: Field) -> str:
    return f"replace(coalesce({field.sql}, ''), '\"', '\"\"')"
