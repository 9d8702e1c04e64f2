"""Saves changes to records: the same checks, whichever protocol brought them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator import setup_saves
from local.salesforce_emulator.assignment import assigned
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import RowError, malformed_id, no_such_column
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.rules import NO_RULES
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.states import State, refused_state, states_of
from local.salesforce_emulator.values import RefusedValueError, to_column

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.rules import RuleBook
    from local.salesforce_emulator.schema import Schema

    Updates = dict[tuple[str, ...], list[tuple[object, ...]]]


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
    a rule [documented]. ``fault`` may refuse a record, and so may the org's own ``book`` of rules;
    ``saves_duplicates`` is what the client says to a duplicate rule that only warns. A save with
    unchanged values moves the stamps too [assumed], unless ``stamps_unchanged`` is False.
    """

    user_id: str
    label: str
    obeys_security: bool = True
    assigns: bool = False
    fault: Callable[[str], RowError | None] = lambda _record_id: None
    book: RuleBook = NO_RULES
    saves_duplicates: bool = False
    stamps_unchanged: bool = True


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
        person = {"Contact": "IsPersonAccount", "Account": "PersonContactId"}.get(object_type.name)
        self._person = person if person and object_type.has(person) else None

    def update(
        self, connection: sqlite3.Connection, changes: Sequence[Change]
    ) -> list[RowError | None]:
        """Save what can be saved; one entry per change, in order, None where it worked."""
        full_ids = [to_18(each.record_id, self._object_type.key_prefix) for each in changes]
        wanted = {each for each in full_ids if each}
        states = states_of(connection, self._object_type, wanted, self._person)
        by_rule = assigned(connection, self._object_type) if self._rules.assigns else {}
        results: list[RowError | None] = []
        saves: list[tuple[str, dict[str, object], State]] = []
        for change, full_id in zip(changes, full_ids, strict=True):
            try:
                columns = self._columns(change, full_id, states) | by_rule
            except RefusedValueError as refusal:
                results.append(refusal.error)
                continue
            assert full_id is not None  # noqa: S101 - refused above
            saves.append((full_id, columns, states[full_id]))
            results.append(None)
        refused = self._obeying(connection, saves)
        if refused:
            results = [
                error or refused.get(full_id or "")
                for error, full_id in zip(results, full_ids, strict=True)
            ]
        return results

    def _obeying(
        self, connection: sqlite3.Connection, saves: list[tuple[str, dict[str, object], State]]
    ) -> Mapping[str, RowError]:
        """Write under the org's own rules; returns why records were refused after all."""
        ids = [full_id for full_id, _, _ in saves]

        def write(refused: Mapping[str, RowError]) -> None:
            self._write([each for each in saves if each[0] not in refused], connection)

        return self._rules.book.obeyed(
            connection,
            self._object_type,
            ids,
            write,
            saves_duplicates=self._rules.saves_duplicates,
            user_id=self._rules.user_id,
        )

    def _columns(
        self, change: Change, full_id: str | None, states: Mapping[str, State]
    ) -> dict[str, object]:
        if full_id is None:
            raise RefusedValueError(malformed_id(self._rules.label, change.record_id))
        state = states.get(full_id)
        refusal = self._rules.fault(full_id) or refused_state(state)
        refusal = refusal or self._rules.book.locked(full_id, state.parent if state else None)
        refusal = refusal or self._refused_fields(change.values)
        if refusal is None and self._person and state is not None:
            refusal = self._refused_person(change.values, is_person=bool(state.person))
        if refusal:
            raise RefusedValueError(refusal)
        columns = {field.name: to_column(field, value) for field, value in change.values.items()}
        if self._object_type.is_setup:
            setup_saves.refuse_edit_without_read(columns)
        return columns

    def _refused_fields(self, fields: Iterable[Field]) -> RowError | None:
        if not self._rules.obeys_security:
            return None
        if self._object_type.is_setup:
            if refusal := setup_saves.refused(self._schema, self._object_type):
                return refusal
        elif not self._schema.may_on(self._object_type, "Edit"):
            return READ_ONLY
        names = tuple(
            field.name
            for field in fields
            if not self._schema.access(self._object_type, field).updateable
        )
        return unwritable(names) if names else None

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

    def _write(
        self, saves: list[tuple[str, dict[str, object], State]], connection: sqlite3.Connection
    ) -> None:
        for once in _in_order(saves):
            self._write_once(once, connection)

    def _write_once(
        self, saves: list[tuple[str, dict[str, object], State]], connection: sqlite3.Connection
    ) -> None:
        """Write records, each named once, those with the same columns in one statement."""
        stamps = (to_stored(now()),) * 2 + (self._rules.user_id,)
        updates: Updates = {}
        people: Updates = {}
        for full_id, given, state in saves:
            columns = dict(given)
            if mirrored := self._take_mirrored(columns):
                row = (*mirrored.values(), *stamps, state.person)
                people.setdefault(tuple(mirrored), []).append(row)
            row = (*columns.values(), *stamps, full_id)
            updates.setdefault(tuple(columns), []).append(row)
        self._update(connection, self._object_type.name, updates)
        self._update(connection, "Contact", people)

    def _take_mirrored(self, columns: dict[str, object]) -> dict[str, object]:
        """Move the values of the person's Contact out of ``columns``."""
        if self._object_type.name != "Account":
            return {}
        mirrors = {field.name: field.mirrors for field in self._object_type.fields if field.mirrors}
        return {mirrors[name]: columns.pop(name) for name in list(columns) if name in mirrors}

    def _update(self, connection: sqlite3.Connection, table: str, updates: Updates) -> None:
        for columns, rows in updates.items():
            names = (*columns, "LastModifiedDate", "SystemModstamp", "LastModifiedById")
            settings = ", ".join(f'"{name}" = ?{at}' for at, name in enumerate(names, 1))
            condition = f'"Id" = ?{len(names) + 1}'
            if not self._rules.stamps_unchanged and columns:
                differs = (f'"{name}" is not ?{at}' for at, name in enumerate(columns, 1))
                condition += f" and ({' or '.join(differs)})"
            connection.executemany(f'update "{table}" set {settings} where {condition}', rows)  # noqa: S608


def _in_order(
    saves: list[tuple[str, dict[str, object], State]],
) -> Iterator[list[tuple[str, dict[str, object], State]]]:
    """Cut saves where a record is named again: its later values must be written later."""
    part: list[tuple[str, dict[str, object], State]] = []
    named: set[str] = set()
    for save in saves:
        if save[0] in named:
            yield part
            part, named = [], set()
        part.append(save)
        named.add(save[0])
    yield part


READ_ONLY = RowError(
    "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"
)  # [documented]


def unwritable(names: tuple[str, ...]) -> RowError:
    """Return the refusal of fields which the user may see and not write [captured]."""
    return RowError(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(names)}. Please check the security "
        "settings of this field and verify that it is read/write for your profile or "
        "permission set.",
        names,
    )
