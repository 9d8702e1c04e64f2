"""Batches of one parallel job which meet at the same Account: the later one finds it locked.

Salesforce processes batches side by side and locks the parent of each record it saves; here each
batch is held to run beside the one before it. Off by default. [assumed as a model of the captured
error]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.rules import lock_failure

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from local.salesforce_emulator.errors import RowError
    from local.salesforce_emulator.objects import ObjectType

_CHUNK = 1_000


class RowContention:
    """The Accounts which the batch before this one touched."""

    def __init__(self, object_type: ObjectType, *, is_parallel: bool) -> None:
        self._object_type = object_type
        self._is_parallel = is_parallel and object_type.has("AccountId")
        self._before: set[str] = set()

    def refused(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[int, RowError]:
        """Return the refusals of a batch's rows, by their place in it."""
        if not self._is_parallel:
            return {}
        parents = self._parents(connection, ids)
        held = {
            at: lock_failure(parents[each])
            for at, each in enumerate(ids)
            if parents.get(each) in self._before
        }
        self._before = set(parents.values())
        return held

    def _parents(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(ids), _CHUNK):
            some = ids[start : start + _CHUNK]
            rows = connection.execute(
                f'select "Id", "AccountId" from "{self._object_type.name}"'  # noqa: S608
                f' where "AccountId" is not null and "Id" in ({", ".join("?" * len(some))})',
                some,
            )
            found.update(rows.fetchall())
        return found
