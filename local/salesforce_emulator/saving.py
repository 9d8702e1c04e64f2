"""One way to save for every protocol: create, update, upsert and delete under the same rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from local.salesforce_emulator import assignment, external_ids
from local.salesforce_emulator.deletes import Deleter
from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.inserts import Inserter
from local.salesforce_emulator.records import Change, Saver, SaveRules

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from local.salesforce_emulator.bulk_jobs import Job
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

    Values = Mapping[Field, object]


class Saved(NamedTuple):
    """A record that was saved."""

    record_id: str
    created: bool


Outcome = Saved | RowError


class Desk:
    """Saves records of one object for one request, inside the caller's transaction."""

    def __init__(self, org: Org, object_type: ObjectType, rules: SaveRules) -> None:
        self._schema = org.schema_of(rules.user_id)
        self._object_type = object_type
        self._saver = Saver(self._schema, object_type, rules)
        self._inserter = Inserter(org.database, self._schema, object_type, rules)
        self._deleter = Deleter(self._schema, object_type, rules)

    def create(self, connection: sqlite3.Connection, records: Sequence[Values]) -> list[Outcome]:
        """Create records; one outcome per record, in order."""
        results = self._inserter.insert(connection, records)
        return [Saved(each, created=True) if isinstance(each, str) else each for each in results]

    def update(self, connection: sqlite3.Connection, changes: Sequence[Change]) -> list[Outcome]:
        """Change records; one outcome per change, in order."""
        results = self._saver.update(connection, changes)
        return [
            error or Saved(to_18(change.record_id, "") or "", created=False)
            for change, error in zip(changes, results, strict=True)
        ]

    def delete(self, connection: sqlite3.Connection, ids: Sequence[str]) -> list[Outcome]:
        """Delete records; one outcome per Id, in order."""
        results = self._deleter.delete(connection, ids)
        return [
            error or Saved(to_18(given, "") or "", created=False)
            for given, error in zip(ids, results, strict=True)
        ]

    def upsert(
        self, connection: sqlite3.Connection, key: Field, records: Sequence[Values]
    ) -> list[Outcome]:
        """Change the record which has the key's value, or create one; in order."""
        return [self._upsert(connection, key, values) for values in records]

    def _upsert(self, connection: sqlite3.Connection, key: Field, values: Values) -> Outcome:
        value = values.get(key)
        found = external_ids.find(connection, self._object_type, key, value)
        if isinstance(found, RowError):
            return found
        if len(found) > 1:
            return external_ids.ambiguous(len(found))
        rest = {field: each for field, each in values.items() if field.name != "Id"}
        if not found:
            (outcome,) = self.create(connection, [rest])
        else:
            (outcome,) = self.update(connection, [Change(found[0], rest)])
        return outcome


def rules_of(
    org: Org, call: Call, object_type: ObjectType, operation: str, label: str
) -> SaveRules:
    """Return the rules of a save that a request asks for."""
    return SaveRules(
        call.user_id,
        label,
        assigns=assignment.is_wanted(call),
        fault=lambda each: org.faults.for_record(
            call.method, call.path, each, object_type.name, operation
        ),
        book=org.rules,
        saves_duplicates=_saves_duplicates(call),
        stamps_unchanged=org.options.unchanged_saves_stamp,
    )


def rules_of_job(org: Org, job: Job, path: str, object_type: ObjectType) -> SaveRules:
    """Return the rules of what a bulk job saves: no assignment, no insisting on duplicates."""
    return SaveRules(
        job.created_by,
        object_type.name,
        fault=lambda each: org.faults.for_record("", path, each, object_type.name, job.operation),
        book=org.rules,
        stamps_unchanged=org.options.unchanged_saves_stamp,
    )


def _saves_duplicates(call: Call) -> bool:
    """Whether ``Sforce-Duplicate-Rule-Header: allowSave=true`` insists, since v52 [documented]."""
    header = call.headers.get("sforce-duplicate-rule-header", "")
    is_asked = re.search(r"allowSave\s*=\s*true", header, re.IGNORECASE) is not None
    return is_asked and float(call.version) >= 52.0
