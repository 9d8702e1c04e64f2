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

_State = tuple[int, int, object]  # IsDeleted, IsConverted, what makes a person account

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
        person = {"Contact": "IsPersonAccount", "Account": "PersonContactId"}.get(object_type.name)
        self._person = person if person and object_type.has(person) else None

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
        people: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
        for change, full_id in zip(changes, full_ids, strict=True):
            try:
                columns = self._columns(change, full_id, states) | by_rule
            except RefusedValueError as refusal:
                results.append(refusal.error)
                continue
            stamps = (stamp, stamp, self._rules.user_id)
            if mirrored := self._take_mirrored(change.values, columns):
                (*_, contact_id) = states[full_id]  # type: ignore[index]
                row = (*mirrored.values(), *stamps, contact_id)
                people.setdefault(tuple(mirrored), []).append(row)
            row = (*columns.values(), *stamps, full_id)
            updates.setdefault(tuple(columns), []).append(row)
            results.append(None)
        self._write(connection, self._object_type.name, updates)
        self._write(connection, "Contact", people)
        return results

    def _states(self, connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, _State]:
        """Return the states of the records which exist."""
        converted = '"IsConverted"' if self._converts else "0"
        person = f'"{self._person}"' if self._person else "null"
        wanted = list(ids)
        states: dict[str, _State] = {}
        for start in range(0, len(wanted), _LOOKUP):
            some = wanted[start : start + _LOOKUP]
            rows = connection.execute(
                f'select "Id", "IsDeleted", {converted}, {person} from "{self._object_type.name}"'  # noqa: S608
                f' where "Id" in ({", ".join("?" * len(some))})',
                some,
            )
            states.update((record_id, (gone, done, who)) for record_id, gone, done, who in rows)
        return states

    def _columns(
        self, change: Change, full_id: str | None, states: Mapping[str, _State]
    ) -> dict[str, object]:
        if full_id is None:
            raise RefusedValueError(malformed_id(self._rules.label, change.record_id))
        refusal = self._rules.fault(full_id) or _refused_state(states.get(full_id))
        refusal = refusal or self._refused_fields(change.values)
        if refusal is None and self._person:
            refusal = self._refused_person(change.values, is_person=bool(states[full_id][2]))
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

    def _refused_person(self, fields: Iterable[Field], *, is_person: bool) -> RowError | None:
        """Refuse what belongs to the other half of a person account, or has no other half.

        The wording is captured from AccountId of a person's Contact and from Name of a person's
        Account. That every field of a person's Contact is refused is [assumed], the worst case
        for a client: documented is the refusal of one field, RecordTypeId, and as
        INSUFFICIENT_ACCESS_OR_READONLY. People change either half in the user interface.
        """
        if self._object_type.name == "Contact":
            wrong = list(fields) if is_person and self._rules.obeys_security else []
        elif is_person:
            wrong = [field for field in fields if field.name == "Name"]
        else:
            wrong = [field for field in fields if field.mirrors]
        if not wrong:
            return None
        names = tuple(field.name for field in wrong)
        return RowError(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Account: bad field names on insert/update call: {', '.join(names)}",
            names,
        )

    def _take_mirrored(
        self, fields: Iterable[Field], columns: dict[str, object]
    ) -> dict[str, object]:
        """Move the values of the person's Contact out of ``columns``."""
        if self._object_type.name != "Account":
            return {}
        return {field.mirrors: columns.pop(field.name) for field in fields if field.mirrors}

    def _write(
        self,
        connection: sqlite3.Connection,
        table: str,
        updates: Mapping[tuple[str, ...], list[tuple[object, ...]]],
    ) -> None:
        for columns, rows in updates.items():
            names = (*columns, "LastModifiedDate", "SystemModstamp", "LastModifiedById")
            settings = ", ".join(f'"{name}" = ?' for name in names)
            connection.executemany(
                f'update "{table}" set {settings} where "Id" = ?',  # noqa: S608
                rows,
            )


def _refused_state(state: _State | None) -> RowError | None:
    if state is None:
        return UNKNOWN
    is_deleted, is_converted, _ = state
    if is_deleted:
        return DELETED
    return CONVERTED if is_converted else None
