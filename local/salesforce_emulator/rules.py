"""The org's own rules: what administrators set up to refuse, change or hold records.

* A validation rule refuses a save whose result meets its condition; the condition is written in
  SOQL here, where a real org has formulas.
* A duplicate rule refuses a save whose result shares values with another living record, or only
  warns: then the client may insist. It fires on updates too [documented].
* An automation changes a record in the transaction of the save, as a trigger or a flow does: for
  instance it flips a field back, and the save succeeds all the same.
* A lock is another transaction which holds a record, or the Account above it.

All of them also run in bulk jobs. Nothing runs when the automation itself saves [assumed].
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import RowError

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.objects import ObjectType

KINDS = ("validation", "duplicate", "automation")
_CHUNK = 500
Write = Callable[[Mapping[str, RowError]], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in force; ``condition`` is SQL over a row of the object's table.

    ``fields`` are those which may not be shared, or which an automation sets, by their ``values``.
    ``user`` is who the automation saves as, None for whoever saved.
    """

    name: str
    kind: str
    sobject: str
    condition: str = "1"
    parameters: tuple[object, ...] = ()
    message: str = ""
    field: str | None = None
    fields: tuple[str, ...] = ()
    values: tuple[object, ...] = ()
    allows: bool = False
    user: str | None = None


class RuleBook:
    """The rules in force, kept in the database; and the locks, which end with the process."""

    def __init__(self) -> None:
        self._rules: tuple[Rule, ...] = ()
        self._locks: set[str] = set()
        self._mutex = threading.Lock()

    def load(self, connection: sqlite3.Connection) -> None:
        """Read the rules."""
        rows = connection.execute("select definition from rule order by name").fetchall()
        self._rules = tuple(_rule(json.loads(definition)) for (definition,) in rows)

    def lock(self, ids: Sequence[str]) -> None:
        """Let another transaction hold these records and everything below these Accounts."""
        with self._mutex:
            self._locks = self._locks | set(ids)

    def unlock(self) -> None:
        """End that transaction."""
        with self._mutex:
            self._locks = set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing can stand in the way of a save."""
        return not self._rules and not self._locks

    def locked(self, record_id: str, parent: str | None) -> RowError | None:
        """Return the refusal of a record that somebody holds, or whose Account is held."""
        if not self._locks:
            return None
        held = next((each for each in (record_id, parent) if each in self._locks), None)
        return None if held is None else lock_failure(held)

    def obeyed(
        self,
        connection: sqlite3.Connection,
        object_type: ObjectType,
        ids: Sequence[str],
        write: Write,
        *,
        saves_duplicates: bool,
        user_id: str,
    ) -> Mapping[str, RowError]:
        """Write records under the rules, and return the refusal of each that broke one.

        ``write`` gets the Ids to leave out; a broken rule undoes it and writes again without them.
        """
        rules = [rule for rule in self._rules if rule.sobject == object_type.name]
        if not rules:
            write({})
            return {}
        connection.execute("savepoint rules")
        write({})
        refused = _refusals(connection, rules, ids, saves_duplicates=saves_duplicates)
        if refused:
            connection.execute("rollback to rules")
            write(refused)
        connection.execute("release rules")
        saved = [each for each in ids if each not in refused]
        for rule in rules:
            if rule.kind == "automation":
                _automate(connection, rule, saved, user_id)
        return refused


NO_RULES = RuleBook()


def lock_failure(record_id: str) -> RowError:
    """Return the refusal of a record that another transaction holds [captured]."""
    return RowError(
        "UNABLE_TO_LOCK_ROW",
        f"unable to obtain exclusive access to this record or 1 records: {record_id}",
    )


def _rule(definition: dict[str, Any]) -> Rule:
    for key in ("parameters", "fields", "values"):
        definition[key] = tuple(definition[key])
    return Rule(**definition)


def _refusals(
    connection: sqlite3.Connection,
    rules: Sequence[Rule],
    ids: Sequence[str],
    *,
    saves_duplicates: bool,
) -> dict[str, RowError]:
    refused: dict[str, RowError] = {}
    for rule in rules:
        if rule.kind == "validation":
            found = dict.fromkeys(_meeting(connection, rule, ids), _invalid(rule))
        elif rule.kind == "duplicate" and not (rule.allows and saves_duplicates):
            found = _duplicates(connection, rule, ids)
        else:
            continue
        refused = found | refused
    return refused


def _meeting(connection: sqlite3.Connection, rule: Rule, ids: Sequence[str]) -> list[str]:
    """Return those of the records which meet the rule's condition."""
    met: list[str] = []
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        rows = connection.execute(
            f'select "Id" from "{rule.sobject}" where {rule.condition}'  # noqa: S608
            f' and "Id" in ({", ".join("?" * len(some))})',
            (*rule.parameters, *some),
        )
        met += [record_id for (record_id,) in rows]
    return met


def _invalid(rule: Rule) -> RowError:
    fields = (rule.field,) if rule.field else ()
    return RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, fields)  # [documented]


def _duplicates(
    connection: sqlite3.Connection, rule: Rule, ids: Sequence[str]
) -> dict[str, RowError]:
    """Return the refusals of records that share the rule's values with another one."""
    same = " and ".join(
        f'other."{name}" is not null and other."{name}" = this."{name}" collate nocase'
        for name in rule.fields
    )
    refused = {}
    for record_id in ids:
        others = connection.execute(
            f'select other."Id" from "{rule.sobject}" this join "{rule.sobject}" other'  # noqa: S608
            f' on {same} and other."Id" <> this."Id" and other."IsDeleted" = 0'
            ' where this."Id" = ? order by 1 limit 5',
            (record_id,),
        )
        if found := [other for (other,) in others]:
            refused[record_id] = _duplicate(rule, found)
    return refused


def _duplicate(rule: Rule, others: list[str]) -> RowError:
    """Return the refusal, with what was matched, as a captured body has it."""
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {"attributes": {"type": rule.sobject}, "Id": other},
        }
        for other in others
    ]
    result = {
        "allowSave": rule.allows,
        "duplicateRule": rule.name,
        "duplicateRuleEntityType": rule.sobject,
        "errorMessage": rule.message,
        "matchResults": [
            {
                "entityType": rule.sobject,
                "errors": [],
                "matchEngine": "ExactMatchEngine",
                "matchRecords": records,
                "rule": f"{rule.name}_Match",
                "size": len(records),
                "success": True,
            }
        ],
    }
    return RowError("DUPLICATES_DETECTED", rule.message, extra={"duplicateResult": result})


def _automate(connection: sqlite3.Connection, rule: Rule, ids: Sequence[str], user_id: str) -> None:
    stamp = to_stored(now())
    settings = ", ".join(f'"{name}" = ?' for name in rule.fields)
    met = _meeting(connection, rule, ids)
    connection.executemany(
        f'update "{rule.sobject}" set {settings}, "LastModifiedDate" = ?, "SystemModstamp" = ?,'  # noqa: S608
        ' "LastModifiedById" = ? where "Id" = ?',
        [(*rule.values, stamp, stamp, rule.user or user_id, record_id) for record_id in met],
    )
