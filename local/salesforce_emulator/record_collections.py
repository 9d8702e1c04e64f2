"""Many records in one request: ``composite/sobjects``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import assignment
from local.salesforce_emulator.errors import RowError, SalesforceError
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.records import Change, Saver, SaveRules, fields_of
from local.salesforce_emulator.rendering import RecordRenderer, select_list
from local.salesforce_emulator.sobjects import visible

if TYPE_CHECKING:
    import sqlite3

    from starlette.responses import Response

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_MOST_SAVED = 200  # [documented]
_MOST_READ = 2_000  # [documented]
_MOST_CHUNKS = 10  # [documented]
_ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone "
    "header",
)  # [documented]


class _RollbackError(Exception):
    """Leaves the transaction so that nothing of it stays."""


def update_records(org: Org, call: Call) -> Response:
    """``PATCH composite/sobjects``: 200 and one result per record, in order [recorded]."""
    document = call.json()
    records = _records(document)
    changes = [_change(org, call, record) for record in records]
    results: list[RowError | None] = []
    all_or_none = document.get("allOrNone") is True
    try:
        with org.database.write() as connection:
            results = _save(org, call, connection, changes)
            if all_or_none and any(results):
                raise _RollbackError
    except _RollbackError:
        results = [result or _ROLLED_BACK for result in results]
    return call.answer(
        [_result(change, result) for (_, change), result in zip(changes, results, strict=True)]
    )


def _records(document: dict[str, Any]) -> list[dict[str, Any]]:
    records = document.get("records")
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise SalesforceError(400, "INVALID_INPUT", "records must be a list of objects")
    if len(records) > _MOST_SAVED:
        raise too_many(_MOST_SAVED)
    return records


def too_many(limit: int) -> SalesforceError:
    """Return 400 EXCEEDED_ID_LIMIT [captured]."""
    message = f"record limit reached. cannot submit more than {limit} records into this call"
    return SalesforceError(400, "EXCEEDED_ID_LIMIT", message)


def _change(org: Org, call: Call, record: dict[str, Any]) -> tuple[ObjectType, Change]:
    name = str((record.get("attributes") or {}).get("type"))
    object_type = org.schema_of(call.user_id).find_object(name)
    if object_type is None:  # [assumed]
        raise SalesforceError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
    given = next((value for key, value in record.items() if key.lower() == "id"), "")
    return object_type, Change(
        str(given), fields_of(org.schema_of(call.user_id), object_type, record)
    )


def _save(
    org: Org,
    call: Call,
    connection: sqlite3.Connection,
    changes: list[tuple[ObjectType, Change]],
) -> list[RowError | None]:
    chunks = [(key, list(group)) for key, group in groupby(changes, key=lambda each: each[0])]
    if len(chunks) > _MOST_CHUNKS:
        message = (
            "Cannot have more than 10 chunks in a single operation. Please rearrange the data to "
            "reduce chunking."
        )
        raise SalesforceError(400, "LIMIT_EXCEEDED", message)  # [documented limit, assumed code]
    results: list[RowError | None] = []
    for object_type, chunk in chunks:
        rules = _rules(org, call, object_type)
        saver = Saver(org.schema_of(call.user_id), object_type, rules)
        results.extend(saver.update(connection, [change for _, change in chunk]))
    return results


def _rules(org: Org, call: Call, object_type: ObjectType) -> SaveRules:
    return SaveRules(
        call.user_id,
        object_type.name,
        assigns=assignment.is_wanted(call),
        fault=lambda each: org.faults.for_record(
            call.method, call.path, each, object_type.name, "update"
        ),
    )


def _result(change: Change, error: RowError | None) -> dict[str, Any]:
    """Return a result: with the Id when it worked [recorded], without when not [documented]."""
    if error is None:
        return {"id": to_18(change.record_id, ""), "success": True, "errors": []}
    return {"success": False, "errors": [error.as_save_error()]}


def read_records_by_get(org: Org, call: Call) -> Response:
    """``GET composite/sobjects/{X}?ids=a,b&fields=c,d``."""
    ids = call.query.get("ids", "").split(",")
    return _read(org, call, ids, call.query.get("fields", "").split(","))


def read_records_by_post(org: Org, call: Call) -> Response:
    """``POST composite/sobjects/{X}`` with ``ids`` and ``fields`` in the body."""
    document = call.json()
    return _read(org, call, _texts(document, "ids"), _texts(document, "fields"))


def _texts(document: dict[str, Any], key: str) -> list[str]:
    values = document.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SalesforceError(400, "INVALID_INPUT", f"{key} must be a list of strings")
    return values


def _read(org: Org, call: Call, ids: list[str], names: list[str]) -> Response:
    """Answer the records in the order asked; null for one that is missing [documented].

    A deleted record counts as missing, a malformed Id too [assumed].
    """
    if len(ids) > _MOST_READ:
        raise too_many(_MOST_READ)
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    fields = visible(org.schema_of(call.user_id), object_type, names)
    full_ids = [to_18(each, object_type.key_prefix) for each in ids]
    allowed = org.schema_of(call.user_id).row_filter(object_type) or "1"
    rows = org.database.read().execute(
        f'select "Id", {select_list(fields)} from "{object_type.name}"'  # noqa: S608
        f' where "Id" in ({", ".join("?" * len(full_ids))}) and "IsDeleted" = 0 and {allowed}',
        full_ids,
    )
    renderer = RecordRenderer(object_type, fields, call.data_path)
    found = {record_id: renderer.record(record_id, values) for record_id, *values in rows}
    return call.answer([found.get(each) if each else None for each in full_ids])
