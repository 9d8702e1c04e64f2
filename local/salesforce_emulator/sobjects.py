"""Single records: ``sobjects/{X}``, ``sobjects/{X}/{id}``, ``sobjects/{X}/{field}/{value}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from local.salesforce_emulator import conditions, external_ids
from local.salesforce_emulator.errors import RowError, malformed_id, no_such_column, not_found
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.records import Change, fields_of
from local.salesforce_emulator.rendering import RecordRenderer, select_list
from local.salesforce_emulator.saving import Desk, Outcome, Saved, rules_of
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.states import DELETED, UNKNOWN

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.schema import Schema
    from local.salesforce_emulator.web import Call

_STATUSES = {
    DELETED.code: 404,  # [recorded]
    UNKNOWN.code: 404,  # [captured]
    "INSUFFICIENT_ACCESS_OR_READONLY": 403,  # [assumed]
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": 403,  # [assumed]
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": 403,  # [assumed]
}
_ANSWERS_UPSERTS = 46.0  # since this version an upsert says whether it created [documented]


def create_record(org: Org, call: Call) -> Response:
    """``POST sobjects/{X}``: 201 with the new Id [recorded]."""
    schema = org.schema_of(call.user_id)
    object_type = schema.object_type(call.params["object"])
    values = fields_of(schema, object_type, call.json())
    desk = Desk(org, object_type, rules_of(org, call, object_type, "insert", "Record"))
    with org.database.write() as connection:
        (outcome,) = desk.create(connection, [values])
    org.after_save(object_type)
    return _created(call, object_type, _saved(outcome), {})


def _created(call: Call, object_type: ObjectType, saved: Saved, more: dict[str, Any]) -> Response:
    url = f"{call.data_path}/sobjects/{object_type.name}/{saved.record_id}"
    body = {"id": saved.record_id, "success": True, "errors": [], **more}
    return call.answer(body, 201, {"Location": url})


def _saved(outcome: Outcome) -> Saved:
    if isinstance(outcome, RowError):
        raise outcome.as_exception(_STATUSES.get(outcome.code, 400))
    return outcome


def read_record(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/{id}``, with ``fields=A,B`` or every visible field."""
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    record_id = _record_id(object_type, call.params["id"])
    return _read(org, call, object_type, record_id)


def _read(org: Org, call: Call, object_type: ObjectType, record_id: str) -> Response:
    schema = org.schema_of(call.user_id)
    fields = _wanted(schema, object_type, call.query.get("fields"))
    flags = '"IsDeleted"' if object_type.has("IsDeleted") else "0"
    stamp = '"LastModifiedDate"' if object_type.saves else "null"
    allowed = schema.row_filter(object_type) or "1"
    row = (
        org.database.read()
        .execute(
            f'select {flags}, {stamp}, {select_list(fields)} from "{object_type.name}"'  # noqa: S608
            f' where "Id" = ? and {allowed}',
            (record_id,),
        )
        .fetchone()
    )
    if row is None:
        raise not_found()
    if row[0]:
        raise DELETED.as_exception(404)
    body = RecordRenderer(object_type, fields, call.data_path).record(record_id, row[2:])
    return _answer_unless_known(call, object_type, row[1], body)


def _answer_unless_known(
    call: Call, object_type: ObjectType, modified_at: str | None, body: dict[str, Any]
) -> Response:
    if modified_at is None:
        return call.answer(body)
    conditions.check_unmodified(modified_at, conditions.header_time(call, "if-unmodified-since"))
    conditions.check_tags(call, object_type, conditions.entity_tag(modified_at))
    known = conditions.not_modified(call, object_type, modified_at)
    return known or call.answer(body, 200, conditions.headers_of(object_type, modified_at))


def update_record(org: Org, call: Call) -> Response:
    """``PATCH sobjects/{X}/{id}``: 204, nothing in the body [recorded]."""
    schema = org.schema_of(call.user_id)
    object_type = schema.object_type(call.params["object"])
    values = fields_of(schema, object_type, call.json())
    record_id = _record_id(object_type, call.params["id"])
    since = conditions.header_time(call, "if-unmodified-since")
    desk = Desk(org, object_type, rules_of(org, call, object_type, "update", "Record"))
    with org.database.write() as connection:
        modified_at = _modified_at(connection, object_type, record_id)
        conditions.check_unmodified(modified_at, since)
        conditions.check_tags(call, object_type, conditions.entity_tag(modified_at or ""))
        (outcome,) = desk.update(connection, [Change(record_id, values)])
    _saved(outcome)
    org.after_save(object_type)
    return Response(status_code=204)


def delete_record(org: Org, call: Call) -> Response:
    """``DELETE sobjects/{X}/{id}``: 204 [recorded]; headers about time are ignored [documented]."""
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    record_id = _record_id(object_type, call.params["id"])
    return _delete(org, call, object_type, record_id)


def _delete(org: Org, call: Call, object_type: ObjectType, record_id: str) -> Response:
    desk = Desk(org, object_type, rules_of(org, call, object_type, "delete", "Record"))
    with org.database.write() as connection:
        (outcome,) = desk.delete(connection, [record_id])
    _saved(outcome)
    org.after_save(object_type)
    return Response(status_code=204)


def upsert_record(org: Org, call: Call) -> Response:
    """``PATCH sobjects/{X}/{field}/{value}``.

    201 for a new record and 204 for a changed one [recorded]; since v46 both say whether it was
    created, and a changed one answers 200 [documented].
    """
    schema, (object_type, key) = org.schema_of(call.user_id), _keyed(org, call)
    values = fields_of(schema, object_type, call.json())
    if key in values:  # [documented]
        message = f"The {key.name} field should not be specified in the sobject data."
        raise RowError("INVALID_FIELD", message).as_exception()
    desk = Desk(org, object_type, rules_of(org, call, object_type, "upsert", "Record"))
    with org.database.write() as connection:
        matches = _matches(connection, object_type, key, call.params["value"])
        if len(matches) > 1:
            return _choices(call, object_type, matches)
        (outcome,) = desk.upsert(connection, key, [{**values, key: call.params["value"]}])
    saved = _saved(outcome)
    org.after_save(object_type)
    return _upserted(call, object_type, saved)


def _upserted(call: Call, object_type: ObjectType, saved: Saved) -> Response:
    says = float(call.version) >= _ANSWERS_UPSERTS
    more = {"created": saved.created} if says else {}
    if saved.created:
        return _created(call, object_type, saved, more)
    if not says:
        return Response(status_code=204)
    return call.answer({"id": saved.record_id, "success": True, "errors": [], **more})


def read_by_key(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/{field}/{value}``: 300 with their addresses where several match."""
    return _with_key(org, call, _read)


def delete_by_key(org: Org, call: Call) -> Response:
    """``DELETE sobjects/{X}/{field}/{value}``."""
    return _with_key(org, call, _delete)


def _with_key(org: Org, call: Call, act: Any) -> Response:
    object_type, key = _keyed(org, call)
    matches = _matches(org.database.read(), object_type, key, call.params["value"])
    if not matches:
        raise not_found()
    if len(matches) > 1:
        return _choices(call, object_type, matches)
    response: Response = act(org, call, object_type, matches[0])
    return response


def _keyed(org: Org, call: Call) -> tuple[ObjectType, Field]:
    schema = org.schema_of(call.user_id)
    object_type = schema.object_type(call.params["object"])
    return object_type, external_ids.key_field(schema, object_type, call.params["field"])


def _matches(
    connection: sqlite3.Connection, object_type: ObjectType, key: Field, value: str
) -> list[str]:
    found = external_ids.find(connection, object_type, key, value)
    if isinstance(found, RowError):
        raise found.as_exception()
    return found


def _choices(call: Call, object_type: ObjectType, ids: list[str]) -> Response:
    root = f"{call.data_path}/sobjects/{object_type.name}"
    return call.answer([f"{root}/{record_id}" for record_id in ids], 300)  # [documented]


def _record_id(object_type: ObjectType, given: str) -> str:
    record_id = to_18(given, object_type.key_prefix)
    if record_id is None:
        raise malformed_id("Record", given).as_exception()
    return record_id


def _modified_at(
    connection: sqlite3.Connection, object_type: ObjectType, record_id: str
) -> str | None:
    if not object_type.saves:
        return None
    row = connection.execute(
        f'select "LastModifiedDate" from "{object_type.name}" where "Id" = ?',  # noqa: S608
        (record_id,),
    ).fetchone()
    return row[0] if row else None


def _wanted(schema: Schema, object_type: ObjectType, names: str | None) -> list[Field]:
    if names is None:
        return schema.visible_fields(object_type)
    return visible(schema, object_type, names.split(","))


def visible(schema: Schema, object_type: ObjectType, names: list[str]) -> list[Field]:
    """Return the fields of a list of names; ``Id`` always comes along [documented].

    Raises:
        SalesforceError: 400 INVALID_FIELD.
    """
    fields = []
    for name in names:
        try:
            fields.append(schema.visible_field(object_type, name.strip()))
        except UnknownFieldError as error:
            raise no_such_column(name.strip(), object_type.name) from error
    if all(field.name != "Id" for field in fields):
        fields.append(schema.visible_field(object_type, "Id"))
    return fields
