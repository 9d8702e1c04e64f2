"""What is true of a record before a save: whether it exists, is deleted, converted, locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import RowError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from local.salesforce_emulator.objects import ObjectType

_LOOKUP = 1_000

DELETED = RowError("ENTITY_IS_DELETED", "entity is deleted")  # [recorded]
UNKNOWN = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")  # [captured]
CONVERTED = RowError(
    "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"
)  # [captured]


@dataclass(frozen=True, slots=True)
class State:
    """One record which exists.

    ``person`` is what makes it half of a person account, ``parent`` the Account above it.
    """

    is_deleted: int
    is_converted: int
    person: object
    parent: str | None


def states_of(
    connection: sqlite3.Connection, object_type: ObjectType, ids: Iterable[str], person: str | None
) -> dict[str, State]:
    """Return the states of the records which exist, by their full Ids."""
    columns = ", ".join(
        (
            '"IsDeleted"' if object_type.has("IsDeleted") else "0",
            '"IsConverted"' if object_type.has("IsConverted") else "0",
            f'"{person}"' if person else "null",
            '"AccountId"' if object_type.has("AccountId") else "null",
        )
    )
    wanted = list(ids)
    states: dict[str, State] = {}
    for start in range(0, len(wanted), _LOOKUP):
        some = wanted[start : start + _LOOKUP]
        rows = connection.execute(
            f'select "Id", {columns} from "{object_type.name}"'  # noqa: S608
            f' where "Id" in ({", ".join("?" * len(some))})',
            some,
        )
        states.update((record_id, State(*state)) for record_id, *state in rows)
    return states


def refused_state(state: State | None) -> RowError | None:
    """Return why a record in this state cannot be changed."""
    if state is None:
        return UNKNOWN
    if state.is_deleted:
        return DELETED
    return CONVERTED if state.is_converted else None
