"""Updates by the ten thousand in a few statements, where all rows are plain.

A row is plain when it has all its values, names a living record by its full Id, and every value
can be saved as it is; what is not plain goes the ordinary way, so that both agree on every refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.saving import Outcome, Saved

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from local.salesforce_emulator.ingest_rows import Columns
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.records import SaveRules
    from local.salesforce_emulator.schema import Schema


class FastUpdate:
    """Saves batches of one job through a temporary table."""

    def __init__(
        self, schema: Schema, object_type: ObjectType, columns: Columns, rules: SaveRules
    ) -> None:
        self._object_type = object_type
        self._rules = rules
        self._width = len(columns.fields)
        self._id_position = columns.id_position
        self._fields = [
            (f"c{position}", field)
            for position, field in enumerate(columns.fields)
            if field is not None
        ]
        has_person = object_type.has("IsPersonAccount")
        may_edit = schema.may_on(object_type, "Edit") and all(
            schema.access(object_type, field).updateable for _, field in self._fields
        )
        can_check = all(_plain_sql(name, field) for name, field in self._fields)
        named = [field.name for _, field in self._fields]
        self.is_possible = bool(
            columns.id_position is not None
            and may_edit
            and can_check
            and len(set(named)) == len(named)
            and object_type.updateable
            and not has_person
        )

    def save(
        self, connection: sqlite3.Connection, rows: Sequence[Sequence[str]]
    ) -> tuple[list[Outcome | None], list[int]]:
        """Save the plain rows; returns an outcome for each of them, and the places of the rest."""
        position, width = self._id_position or 0, self._width
        if set(map(len, rows)) != {width}:
            return [None] * len(rows), list(range(len(rows)))
        ids = [row[position] for row in rows]
        if len(set(ids)) < len(ids):  # one record twice: the order of its rows matters
            return [None] * len(rows), list(range(len(rows)))
        self._load(connection, rows)
        saved = {each for (each,) in connection.execute(self._update(), self._stamps())}
        connection.execute(f"delete from {self._table}")  # noqa: S608
        if len(saved) == len(ids):
            return [Saved(each, False) for each in ids], []
        outcomes: list[Outcome | None] = [
            Saved(each, created=False) if each in saved else None for each in ids
        ]
        return outcomes, [at for at, each in enumerate(ids) if each not in saved]

    def _load(self, connection: sqlite3.Connection, rows: Sequence[Sequence[str]]) -> None:
        names = ", ".join(f"c{position} text" for position in range(self._width))
        connection.execute(f"create temp table if not exists upload{self._width} ({names})")
        marks = ", ".join("?" * self._width)
        connection.executemany(f"insert into {self._table} values ({marks})", rows)  # noqa: S608

    @property
    def _table(self) -> str:
        return f"temp.upload{self._width}"

    def _update(self) -> str:
        """Return SQL which saves the plain rows and returns their Ids."""
        settings = [f'"{field.name}" = {_value_sql(name, field)}' for name, field in self._fields]
        settings += ['"LastModifiedDate" = ?1', '"SystemModstamp" = ?1', '"LastModifiedById" = ?2']
        key = f"c{self._id_position}"
        conditions = [f'"{self._object_type.name}"."Id" = u.{key}', '"IsDeleted" = 0']
        if self._object_type.has("IsConverted"):
            conditions.append('"IsConverted" = 0')
        conditions += [_plain_sql(name, field) or "0" for name, field in self._fields]
        return (
            f'update "{self._object_type.name}" set {", ".join(settings)}'  # noqa: S608
            f' from {self._table} u where {" and ".join(conditions)} returning "Id"'
        )

    def _stamps(self) -> tuple[str, str]:
        return to_stored(now()), self._rules.user_id


def _plain_sql(name: str, field: Field) -> str | None:
    """Return the condition under which a value can be saved as it is; None if it takes more."""
    if field.expression or field.mirrors:
        return None
    if field.type == "boolean":
        return f"lower(u.{name}) in ('true', 'false', '1', '0', '')"
    if field.type in ("string", "phone", "picklist") and field.length:
        return f"(length(u.{name}) <= {field.length} and u.{name} <> '#N/A')"
    return None


def _value_sql(name: str, field: Field) -> str:
    """Return the value to save: an empty one leaves the field alone."""
    is_boolean = field.type == "boolean"
    value = f"lower(u.{name}) in ('true', '1')" if is_boolean else f"u.{name}"
    return f"iif(u.{name} = '', \"{field.name}\", {value})"
