"""Creates records of one object inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator import setup_saves
from local.salesforce_emulator.assignment import assigned
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.ids import make_id
from local.salesforce_emulator.records import unwritable
from local.salesforce_emulator.values import RefusedValueError, to_column

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.records import SaveRules
    from local.salesforce_emulator.schema import Schema

    Values = Mapping[Field, object]
    Columns = dict[str, object]

_DEFAULTS = {"Lead": {"Status": "Open - Not Contacted"}}
_CANNOT_INSERT = "entity type cannot be inserted: {}"  # [documented]


class Inserter:
    """Creates records of one object; the Ids ascend in the order of the values."""

    def __init__(
        self, database: Database, schema: Schema, object_type: ObjectType, rules: SaveRules
    ) -> None:
        self._database = database
        self._schema = schema
        self._object_type = object_type
        self._rules = rules

    def insert(
        self, connection: sqlite3.Connection, records: Sequence[Values]
    ) -> list[str | RowError]:
        """Create what can be created; one entry per record, in order: its Id or its refusal."""
        prefix = self._object_type.key_prefix
        numbers = self._database.next_numbers(connection, prefix, len(records))
        results: list[str | RowError] = []
        rows: dict[str, Columns] = {}
        by_rule = assigned(connection, self._object_type) if self._rules.assigns else {}
        for number, values in zip(numbers, records, strict=True):
            record_id = make_id(prefix, number)
            try:
                rows[record_id] = self._columns(connection, values) | by_rule
            except RefusedValueError as refusal:
                results.append(refusal.error)
                continue
            results.append(record_id)
        refused = self._obeying(connection, rows)
        return [refused.get(each, each) if isinstance(each, str) else each for each in results]

    def _obeying(
        self, connection: sqlite3.Connection, rows: Mapping[str, Columns]
    ) -> Mapping[str, RowError]:
        def write(refused: Mapping[str, RowError]) -> None:
            for record_id, columns in rows.items():
                if record_id not in refused:
                    self._write(connection, record_id, columns)

        return self._rules.book.obeyed(
            connection,
            self._object_type,
            list(rows),
            write,
            saves_duplicates=self._rules.saves_duplicates,
            user_id=self._rules.user_id,
        )

    def _columns(self, connection: sqlite3.Connection, values: Values) -> Columns:
        refusal = self._rules.fault("") or self._refused(values)
        if refusal:
            raise RefusedValueError(refusal)
        given = {field.name: to_column(field, value) for field, value in values.items()}
        columns = self._defaults() | given
        self._refuse_missing(columns)
        if self._object_type.is_setup:
            columns |= setup_saves.completed(connection, self._schema, self._object_type, columns)
        return columns

    def _refused(self, values: Values) -> RowError | None:
        name = self._object_type.name
        if not self._object_type.saves or not self._schema.may_on(self._object_type, "Create"):
            return RowError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", _CANNOT_INSERT.format(name))
        wrong = tuple(
            field.name
            for field in values
            if field.mirrors or not self._schema.may_create_with(self._object_type, field)
        )
        return unwritable(wrong) if wrong else None

    def _defaults(self) -> Columns:
        columns: Columns = dict(_DEFAULTS.get(self._object_type.name, {}))
        if self._object_type.has("OwnerId"):
            columns["OwnerId"] = self._rules.user_id
        return columns

    def _refuse_missing(self, columns: Columns) -> None:
        missing = [
            field.name
            for field in self._object_type.fields
            if not (field.nillable or field.type == "boolean" or not field.is_createable)
            and columns.get(field.name) is None
        ]
        if missing:  # [recorded]
            message = f"Required fields are missing: [{', '.join(missing)}]"
            raise RefusedValueError(RowError("REQUIRED_FIELD_MISSING", message, tuple(missing)))

    def _write(self, connection: sqlite3.Connection, record_id: str, columns: Columns) -> None:
        stamp, user = to_stored(now()), self._rules.user_id
        row: Columns = {"Id": record_id, **columns, "SystemModstamp": stamp}
        row |= {"LastModifiedDate": stamp, "LastModifiedById": user}
        if self._object_type.has("CreatedDate"):
            row |= {"CreatedDate": stamp, "CreatedById": user}
        names = ", ".join(f'"{name}"' for name in row)
        connection.execute(
            f'insert into "{self._object_type.name}" ({names})'  # noqa: S608
            f" values ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )
