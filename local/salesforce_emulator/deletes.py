"""Deletes records of one object inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator import setup_saves
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import RowError, malformed_id
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.states import DELETED, UNKNOWN, State, states_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.records import SaveRules
    from local.salesforce_emulator.schema import Schema

NO_DELETE = RowError(
    "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"
)  # [documented]


class Deleter:
    """Moves records to the recycle bin, and those of administrators away for good.

    Children stay where they are [assumed]: a real org deletes an Account's Contacts with it.
    """

    def __init__(self, schema: Schema, object_type: ObjectType, rules: SaveRules) -> None:
        self._schema = schema
        self._object_type = object_type
        self._rules = rules

    def delete(self, connection: sqlite3.Connection, ids: Sequence[str]) -> list[RowError | None]:
        """Delete what can be deleted; one entry per Id, in order, None where it worked."""
        full_ids = [to_18(each, self._object_type.key_prefix) for each in ids]
        states = states_of(connection, self._object_type, {x for x in full_ids if x}, None)
        results = []
        for given, full_id in zip(ids, full_ids, strict=True):
            refusal = self._refused(given, full_id, states)
            results.append(refusal)
            if refusal is None and full_id is not None:
                self._remove(connection, full_id)
                states[full_id] = State(1, 0, None, None)
        return results

    def _refused(
        self, given: str, full_id: str | None, states: dict[str, State]
    ) -> RowError | None:
        if full_id is None:
            return malformed_id(self._rules.label, given)
        if refusal := self._rules.fault(full_id) or self._refused_access():
            return refusal
        state = states.get(full_id)
        if state is None:
            return UNKNOWN
        if state.is_deleted:
            return DELETED
        return self._rules.book.locked(full_id, state.parent)

    def _refused_access(self) -> RowError | None:
        if self._object_type.is_setup:
            return setup_saves.refused(self._schema, self._object_type)
        may = self._object_type.updateable and self._schema.may_on(self._object_type, "Delete")
        return None if may else NO_DELETE

    def _remove(self, connection: sqlite3.Connection, record_id: str) -> None:
        table = self._object_type.name
        if self._object_type.is_setup:
            _remove_grants(connection, table, record_id)
            connection.execute(f'delete from "{table}" where "Id" = ?', (record_id,))  # noqa: S608
            return
        stamp = to_stored(now())
        connection.execute(
            f'update "{table}" set "IsDeleted" = 1, "LastModifiedDate" = ?, "SystemModstamp" = ?,'  # noqa: S608
            ' "LastModifiedById" = ? where "Id" = ?',
            (stamp, stamp, self._rules.user_id, record_id),
        )


def _remove_grants(connection: sqlite3.Connection, table: str, record_id: str) -> None:
    """Remove what a permission set granted, and to whom, with the set itself [documented]."""
    if table != "PermissionSet":
        return
    for child, column in (
        ("FieldPermissions", "ParentId"),
        ("ObjectPermissions", "ParentId"),
        ("PermissionSetAssignment", "PermissionSetId"),
    ):
        connection.execute(f'delete from "{child}" where "{column}" = ?', (record_id,))  # noqa: S608
