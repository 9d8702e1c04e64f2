"""Many records in one request: ``composite/sobjects``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import external_ids
from local.salesforce_emulator.errors import RowError, SalesforceError
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.records import Change, fields_of
from local.salesforce_emulator.rendering import RecordRenderer, select_list
from local.salesforce_emulator.saving import Desk, Outcome, rules_of
from local.salesforce_emulator.sobjects import visible

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from starlette.responses import Response

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.schema import Schema
    from local.salesforce_emulator.web import Call

    Record = tuple[ObjectType, Any]
    Save = Callable[[Desk, sqlite3.Connection, list[Any]], list[Outcome]]

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


def create_records(org: Org, call: Call) -> Response:
    """``POST composite/sobjects``: 200 and one result per record, in order [recorded]."""
    document = call.json()
    records = []
    for record in _records(document):
        object_type = _type_of(org, call, record)
        records.append((object_type, fields_of(_schema(org, call), object_type, record)))
    outcomes = _save_all(org, call, records, "insert", Desk.create, _all_or_none(document))
    return call.answer([_result(each) for each in outcomes])


def update_records(org: Org, call: Call) -> Response:
    """``PATCH composite/sobjects``: 200 and one result per record, in order [recorded]."""
    document = call.json()
    changes = [_change(org, call, record) for record in _records(document)]
    outcomes = _save_all(org, call, changes, "update", Desk.update, _all_or_none(document))
    return call.answer([_result(each) for each in outcomes])


def upsert_records(org: Org, call: Call) -> Response:
    """``PATCH composite/sobjects/{X}/{field}``: each result says if it created [recorded]."""
    document = call.json()
    schema = _schema(org, call)
    object_type = schema.object_type(call.params["object"])
    key = external_ids.key_field(schema, object_type, call.params["field"])
    records = []
    for record in _records(document):
        if _type_of(org, call, record) is not object_type:  # [documented]
            message = f"Every record must be of the type {object_type.name}"
            raise SalesforceError(400, "INVALID_INPUT", message)
        values = fields_of(schema, object_type, record)
        if key.name == "Id":
            values[key] = _given_id(record)
        records.append((object_type, values))

    def upsert(desk: Desk, connection: sqlite3.Connection, some: list[Any]) -> list[Outcome]:
        return desk.upsert(connection, key, some)

    outcomes = _save_all(org, call, records, "upsert", upsert, _all_or_none(document))
    return call.answer([_result(each, says_created=True) for each in outcomes])


def delete_records(org: Org, call: Call) -> Response:
    """``DELETE composite/sobjects?ids=a,b``: 200 and one result per Id, in order [documented]."""
    ids = [each for each in call.query.get("ids", "").split(",") if each]
    if len(ids) > _MOST_SAVED:
        raise too_many(_MOST_SAVED)
    records = [(_type_of_id(org, call, each), each) for each in ids]
    all_or_none = call.query.get("allOrNone", "").lower() == "true"
    outcomes = _save_all(org, call, records, "delete", Desk.delete, all_or_none)
    return call.answer([_result(each) for each in outcomes])


def _type_of_id(org: Org, call: Call, record_id: str) -> ObjectType:
    schema = _schema(org, call)
    for each in schema.object_types():
        if each.saves and record_id.startswith(each.key_prefix):
            return each
    raise SalesforceError(400, "MALFORMED_ID", f"malformed id {record_id}")  # [assumed]


def _schema(org: Org, call: Call) -> Schema:
    return org.schema_of(call.user_id)


def _all_or_none(document: dict[str, Any]) -> bool:
    return document.get("allOrNone") is True


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


def _type_of(org: Org, call: Call, record: dict[str, Any]) -> ObjectType:
    attributes = record.get("attributes")
    name = str(attributes.get("type") if isinstance(attributes, dict) else None)
    object_type = _schema(org, call).find_object(name)
    if object_type is None:  # [assumed]
        raise SalesforceError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
    return object_type


def _given_id(record: dict[str, Any]) -> Any:
    return next((value for key, value in record.items() if key.lower() == "id"), "")


def _change(org: Org, call: Call, record: dict[str, Any]) -> tuple[ObjectType, Change]:
    object_type = _type_of(org, call, record)
    values = fields_of(_schema(org, call), object_type, record)
    return object_type, Change(str(_given_id(record)), values)


def _save_all(
    org: Org,
    call: Call,
    records: Sequence[Record],
    operation: str,
    save: Save,
    all_or_none: bool,
) -> list[Outcome]:
    """Save records of several objects in one transaction; one outcome per record, in order."""
    outcomes: list[Outcome] = []
    chunks = _chunks(records)
    try:
        with org.database.write() as connection:
            for object_type, some in chunks:
                rules = rules_of(org, call, object_type, operation, object_type.name)
                outcomes += save(Desk(org, object_type, rules), connection, some)
            if all_or_none and any(isinstance(each, RowError) for each in outcomes):
                raise _RollbackError
    except _RollbackError:
        return [each if isinstance(each, RowError) else _ROLLED_BACK for each in outcomes]
    for object_type, _ in chunks:
        org.after_save(object_type)
    return outcomes


def _chunks(records: Sequence[Record]) -> list[tuple[ObjectType, list[Any]]]:
    chunks = [
        (object_type, [each for _, each in group])
        for object_type, group in groupby(records, key=lambda each: each[0])
    ]
    if len(chunks) > _MOST_CHUNKS:
        message = (
            "Cannot have more than 10 chunks in a single operation. Please rearrange the data to "
            "reduce chunking."
        )
        raise SalesforceError(400, "LIMIT_EXCEEDED", message)  # [documented limit, assumed code]
    return chunks


def _result(outcome: Outcome, *, says_created: bool = False) -> dict[str, Any]:
    """Return a result: with the Id when it worked [recorded], without when not [documented]."""
    if isinstance(outcome, RowError):
        return {"success": False, "errors": [outcome.as_save_error()]}
    result: dict[str, Any] = {"id": outcome.record_id, "success": True, "errors": []}
    return result | ({"created": outcome.created} if says_created else {})


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
