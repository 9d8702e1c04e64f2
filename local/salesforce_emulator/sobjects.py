"""Single records: ``sobjects/{X}/{id}``."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from starlette.responses import Response

from local.salesforce_emulator import assignment
from local.salesforce_emulator.clock import from_stored
from local.salesforce_emulator.errors import (
    RowError,
    SalesforceError,
    malformed_id,
    no_such_column,
    not_emulated,
    not_found,
)
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.records import DELETED, UNKNOWN, Change, Saver, SaveRules, fields_of
from local.salesforce_emulator.rendering import RecordRenderer, select_list
from local.salesforce_emulator.schema import UnknownFieldError

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.schema import Schema
    from local.salesforce_emulator.web import Call

_GONE = {DELETED.code, UNKNOWN.code}


def read_record(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/{id}``, with ``fields=A,B`` or every visible field."""
    if "if-modified-since" in call.headers:
        raise not_emulated("If-Modified-Since")
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    record_id = _record_id(object_type, call.params["id"])
    fields = _wanted(org.schema_of(call.user_id), object_type, call.query.get("fields"))
    flags = '"IsDeleted"' if object_type.has("IsDeleted") else "0"
    allowed = org.schema_of(call.user_id).row_filter(object_type) or "1"
    row = (
        org.database.read()
        .execute(
            f'select {flags}, {select_list(fields)} from "{object_type.name}"'  # noqa: S608
            f' where "Id" = ? and {allowed}',
            (record_id,),
        )
        .fetchone()
    )
    if row is None:
        raise not_found()
    if row[0]:
        raise DELETED.as_exception(404)
    return call.answer(
        RecordRenderer(object_type, fields, call.data_path).record(record_id, row[1:])
    )


def update_record(org: Org, call: Call) -> Response:
    """``PATCH sobjects/{X}/{id}``: 204, nothing in the body [recorded]."""
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    values = fields_of(org.schema_of(call.user_id), object_type, call.json())
    record_id = _record_id(object_type, call.params["id"])
    unmodified_since = _unmodified_since(call)
    rules = SaveRules(
        call.user_id,
        "Record",
        assigns=assignment.is_wanted(call),
        fault=lambda each: org.faults.for_record(
            call.method, call.path, each, object_type.name, "update"
        ),
    )
    with org.database.write() as connection:
        _check_unmodified(connection, object_type, record_id, unmodified_since)
        (error,) = Saver(org.schema_of(call.user_id), object_type, rules).update(
            connection, [Change(record_id, values)]
        )
    if error is not None:
        raise error.as_exception(404 if error.code in _GONE else 400)
    return Response(status_code=204)


def _record_id(object_type: ObjectType, given: str) -> str:
    record_id = to_18(given, object_type.key_prefix)
    if record_id is None:
        raise malformed_id("Record", given).as_exception()
    return record_id


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


def _unmodified_since(call: Call) -> datetime | None:
    """Return the time of If-Unmodified-Since; an unreadable one is refused [documented]."""
    header = call.headers.get("if-unmodified-since")
    if header is None:
        return None
    try:
        at = parsedate_to_datetime(header)
    except ValueError as error:
        raise SalesforceError(
            400, "INVALID_HEADER", "If-Unmodified-Since is not an HTTP date"
        ) from error  # [documented status, assumed body]
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _check_unmodified(
    connection: sqlite3.Connection,
    object_type: ObjectType,
    record_id: str,
    unmodified_since: datetime | None,
) -> None:
    """Refuse with 412 when the record changed later, to the whole second [documented]."""
    if unmodified_since is None:
        return
    row = connection.execute(
        f'select "LastModifiedDate" from "{object_type.name}" where "Id" = ?',  # noqa: S608
        (record_id,),
    ).fetchone()
    if row is not None and from_stored(row[0]) > unmodified_since:
        raise RowError(
            "PRECONDITION_FAILED", "The record was modified since the given date"
        ).as_exception(412)  # [documented status, assumed body]
