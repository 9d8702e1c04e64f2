"""Stored values as JSON records and as CSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import to_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.soql_fields import Relation


def select_list(fields: Sequence[Field], relations: Sequence[Relation] = ()) -> str:
    """Return the SQL select list of some fields and of the Ids of records on the way to them."""
    return ", ".join([*(field.sql for field in fields), *(each.sql for each in relations)])


class RecordRenderer:
    """Turns rows of ``fields`` into JSON records with their ``attributes`` [recorded].

    A field at the end of a path stands inside the record it belongs to; without such a record
    there is null in its place [documented].
    """

    def __init__(
        self,
        object_type: ObjectType,
        fields: Sequence[Field],
        data_path: str,
        relations: Sequence[Relation] = (),
    ) -> None:
        self._type = object_type.name
        self._root = f"{data_path}/sobjects/"
        self._url = f"{self._root}{object_type.name}/"
        self._columns = [(field.name, converter(field)) for field in fields]
        self._relations = relations

    def record(self, record_id: str, row: Sequence[Any]) -> dict[str, Any]:
        """Return one record."""
        record: dict[str, Any] = {"attributes": {"type": self._type, "url": self._url + record_id}}
        if self._relations:
            return self._with_parents(record, row)
        for (name, convert), value in zip(self._columns, row, strict=True):
            record[name] = value if convert is None or value is None else convert(value)
        return record

    def _with_parents(self, record: dict[str, Any], row: Sequence[Any]) -> dict[str, Any]:
        count = len(self._columns)
        keys = {each.path: key for each, key in zip(self._relations, row[count:], strict=True)}
        parents: dict[str, dict[str, Any] | None] = {"": record}
        for (name, convert), value in zip(self._columns, row[:count], strict=True):
            path, _, last = name.rpartition(".")
            parent = self._parent(path, keys, parents)
            if parent is not None:
                parent[last] = value if convert is None or value is None else convert(value)
        return record

    def _parent(
        self, path: str, keys: Mapping[str, Any], parents: dict[str, dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        if path not in parents:
            above, _, last = path.rpartition(".")
            holder = self._parent(above, keys, parents)
            parents[path] = None if holder is None else self._attributes(path, keys[path])
            if holder is not None:
                holder[last] = parents[path]
        return parents[path]

    def _attributes(self, path: str, key: str | None) -> dict[str, Any] | None:
        if key is None:
            return None
        (name,) = (each.object_name for each in self._relations if each.path == path)
        return {"attributes": {"type": name, "url": f"{self._root}{name}/{key}"}}


def converter(field: Field) -> Callable[[Any], Any] | None:
    """Return what turns a stored value of the field into its JSON; None leaves it as it is."""
    if field.type == "boolean":
        return bool
    if field.type == "anyType":
        return _any_type
    if field.type == "complexvalue":
        return _metadata
    return to_rest if field.type == "datetime" else None


def _metadata(text: str) -> dict[str, Any]:
    """Return a component without its name, which is a field of its own [documented]."""
    return {key: value for key, value in json.loads(text).items() if key != "fullName"}


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
    if field.type in ("id", "datetime", "date", "double"):
        return f"coalesce({field.sql}, '')"
    return _csv_text_sql(field)


def _csv_text_sql(field: Field) -> str:
    return f"replace(coalesce({field.sql}, ''), '\"', '\"\"')"
