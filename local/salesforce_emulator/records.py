"""Saves changes to records: the same checks, whichever protocol brought them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator.assignment import assigned
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import RowError, malformed_id, no_such_column
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.values import RefusedValueError, to_column

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.schema import Schema

_LOOKUP = 1_000

DELETED = RowError("ENTITY_IS_DELETED", "entity is deleted")  # [recorded]
UNKNOWN = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")  # [captured]
CONVERTED = RowError(
    "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"
)  # [captured]


@dataclass(frozen=True, slots=True)
class Change:
    """New values for one record, still as the client wrote them."""

    record_id: str
    values: Mapping[Field, object]


@dataclass(frozen=True, slots=True)
class SaveRules:
    """Who saves, and what stands in the way.

    ``label`` starts the message about a malformed Id. ``obeys_security`` False is the
    control API's human, whom field-level security does not bind. ``assigns`` applies the active
    assignment rule, after the values of the save [documented]; a bulk job does not unless it names
    a rule [documented]. ``fault`` may refuse a record.
    """

    user_id: str
    label: str
    obeys_security: bool = True
    assigns: bool = False
    fault: Callable[[str], RowError | None] = lambda _record_id: None


def fields_of(
    schema: Schema, object_type: ObjectType, values: Mapping[str, object]
) -> dict[Field, object]:
    """Resolve the names of a JSON record, leaving ``Id`` and ``attributes`` out.

    Raises:
        SalesforceError: 400 INVALID_FIELD: unknown and hidden fields look alike [recorded]. In a
            collection it refuses the whole request [assumed].
    """
    resolved = {}
    for name, value in values.items():
        if name.lower() in ("id", "attributes"):
            continue
        try:
            resolved[schema.visible_field(object_type, name)] = value
        except UnknownFieldError as error:
            raise no_such_column(name, object_type.name) from error
    return resolved


class Saver:
    """Updates records of one object inside the caller's transaction."""

    def __init__(self, schema: Schema, object_type: ObjectType, rules: SaveRules) -> None:
        self._schema = schema
        self._object_type = object_type
        self._rules = rules
        self._converts = object_type.has("IsConverted")

    def update(
        self, connection: sqlite3.Connection, changes: Sequence[Change]
    ) -> list[RowError | None]:
        """Save what can be saved; one entry per change, in order, None where it worked.

        A save with unchanged values moves the stamps too [assumed].
        """
        full_ids = [to_18(each.record_id, self._object_type.key_prefix) for each in changes]
        states = self._states(connection, {each for each in full_ids if each})
        by_rule = assigned(connection, self._object_type) if self._rules.assigns else {}
        stamp = to_stored(now())
        results: list[RowError | None] = []
        updates: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
        for change, full_id in zip(changes, full_ids, strict=True):
            try:
                columns = self._columns(change, full_id, states) | by_rule
            except RefusedValueError as refusal:
                results.append(refusal.error)
                continue
            row = (*columns.values(), stamp, stamp, self._rules.user_id, full_id)
            updates.setdefault(tuple(columns), []).append(row)
            results.append(None)
        self._write(connection, updates)
        return results

    def _states(
        self, connection: sqlite3.Connection, ids: Iterable[str]
    ) -> dict[str, tuple[int, int]]:
        """Return (IsDeleted, IsConverted) of the records which exist."""
        converted = '"IsConverted"' if self._converts else "0"
        wanted = list(ids)
        states: dict[str, tuple[int, int]] = {}
        for start in range(0, len(wanted), _LOOKUP):
            some = wanted[start : start + _LOOKUP]
            rows = connection.execute(
                f'select "Id", "IsDeleted", {converted} from "{self._object_type.name}"'  # noqa: S608
                f' where "Id" in ({", ".join("?" * len(some))})',
                some,
            )
            states.update((record_id, (gone, done)) for record_id, gone, done in rows)
        return states

    def _columns(
        self, change: Change, full_id: str | None, states: Mapping[str, tuple[int, int]]
    ) -> dict[str, object]:
        if full_id is None:
            raise RefusedValueError(malformed_id(self._rules.label, change.record_id))
        refusal = self._rules.fault(full_id) or _refused_state(states.get(full_id))
        refusal = refusal or self._refused_fields(change.values)
        if refusal:
            raise RefusedValueError(refusal)
        return {field.name: to_column(field, value) for field, value in change.values.items()}

    def _refused_fields(self, fields: Iterable[Field]) -> RowError | None:
        if not self._rules.obeys_security:
            return None
        names = tuple(
            field.name
            for field in fields
            if not self._schema.access(self._object_type, field).updateable
        )
        if not names:
            return None
        return RowError(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {', '.join(names)}. Please check the security "
            "settings of this field and verify that it is read/write for your profile or "
            "permission set.",
            names,
        )  # [captured]

    def _write(
        self,
        connection: sqlite3.Connection,
        updates: Mapping[tuple[str, ...], list[tuple[object, ...]]],
    ) -> None:
        for columns, rows in updates.items():
            names = (*columns, "LastModifiedDate", "SystemModstamp", "LastModifiedById")
            settings = ", ".join(f'"{name}" = ?' for name in names)
            connection.executemany(
                f'update "{self._object_type.name}" set {settings} where "Id" = ?',  # noqa: S608
                rows,
            )


def _refused_state(state: tuple[int, int] | None) -> RowError | None:
    if state is None:
        return UNKNOWN
    is_deleted, is_converted = state
    if is_deleted:
        return DELETED
    return CONVERTED if is_converted else None
