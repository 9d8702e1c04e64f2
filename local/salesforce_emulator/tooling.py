"""The Tooling API: queries, and custom fields and layouts as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from local.salesforce_emulator import query, soql
from local.salesforce_emulator.describe_fields import field_description, object_description
from local.salesforce_emulator.errors import SalesforceError, malformed_id, not_found
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.metadata.components import ComponentError
from local.salesforce_emulator.metadata.kinds import KINDS
from local.salesforce_emulator.rendering import RecordRenderer, select_list
from local.salesforce_emulator.tooling_objects import ONE_ROW_ONLY, ToolingSchema

if TYPE_CHECKING:
    from local.salesforce_emulator.metadata.components import Component
    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_STATUSES = {"INSUFFICIENT_ACCESS": 403, "INVALID_CROSS_REFERENCE_KEY": 404}  # [assumed]
_SAVED = ("CustomField", "Layout")


def run_query(org: Org, call: Call) -> Response:
    """``GET tooling/query?q=``."""
    text = call.query.get("q", "")
    schema = ToolingSchema(org.schema_of(call.user_id))
    path = f"{call.data_path}/tooling"
    response = query.answer(org, call, soql.parse(text), schema, path)
    if _asks_for_metadata(text) and response.total > 1:
        message = (
            "When retrieving results with Metadata or FullName fields, the query qualifications "
            f"must specify no more than one row for retrieval. Result size: {response.total}"
        )  # [documented]
        raise SalesforceError(400, "MALFORMED_QUERY", message)
    return response.http


def _asks_for_metadata(text: str) -> bool:
    names = {each.text.lower() for each in soql.parse(text).fields if isinstance(each, soql.Name)}
    return any(name.lower() in names for name in ONE_ROW_ONLY)


def describe_object(org: Org, call: Call) -> Response:
    """``GET tooling/sobjects/{X}/describe``."""
    object_type = ToolingSchema(org.schema_of(call.user_id)).object_type(call.params["object"])
    fields = [
        field_description(field, updateable=False, createable=False) for field in object_type.fields
    ]
    described = object_description(object_type, f"{call.data_path}/tooling")
    return call.answer({**described, "fields": fields})


def read_record(org: Org, call: Call) -> Response:
    """``GET tooling/sobjects/{X}/{id}``, its ``Metadata`` included."""
    object_type = ToolingSchema(org.schema_of(call.user_id)).object_type(call.params["object"])
    record_id = call.params["id"]
    if object_type.name in _SAVED:
        record_id = _record_id(object_type, record_id)
    row = (
        org.database.read()
        .execute(
            f'select {select_list(object_type.fields)} from "{object_type.name}" where "Id" = ?',  # noqa: S608
            (record_id,),
        )
        .fetchone()
    )
    if row is None:
        raise not_found()
    renderer = RecordRenderer(object_type, object_type.fields, f"{call.data_path}/tooling")
    return call.answer(renderer.record(record_id, row))


def create_record(org: Org, call: Call) -> Response:
    """``POST tooling/sobjects/CustomField``: 201; the key names are documented."""
    name = _saved_kind(call)
    document = call.json()
    component = _component(document, str(document.get("FullName", "")))
    try:
        record_id = KINDS[name].create(org, call.user_id, component)
    except ComponentError as error:
        raise _refusal(error) from error
    body = {"id": record_id, "success": True, "errors": [], "warnings": [], "infos": []}
    url = f"{call.data_path}/tooling/sobjects/{name}/{record_id}"
    return call.answer(body, 201, {"Location": url})


def update_record(org: Org, call: Call) -> Response:
    """``PATCH tooling/sobjects/{X}/{id}``: 204; the whole ``Metadata`` is replaced."""
    name = _saved_kind(call)
    full_name = _full_name(org, call, name)
    try:
        KINDS[name].update(org, call.user_id, _component(call.json(), full_name))
    except ComponentError as error:
        raise _refusal(error) from error
    return Response(status_code=204)


def delete_record(org: Org, call: Call) -> Response:
    """``DELETE tooling/sobjects/{X}/{id}``: 204."""
    name = _saved_kind(call)
    try:
        KINDS[name].delete(org, call.user_id, _full_name(org, call, name))
    except ComponentError as error:
        raise _refusal(error) from error
    return Response(status_code=204)


def _saved_kind(call: Call) -> str:
    lowered = call.params["object"].lower()
    name = next((each for each in _SAVED if each.lower() == lowered), None)
    if name is None:
        raise not_found()
    return name


def _full_name(org: Org, call: Call, name: str) -> str:
    wanted = to_18(call.params["id"], "")
    found = next((full for each, full in KINDS[name].names(org) if each == wanted), None)
    if found is None:
        raise not_found()
    return found


def _record_id(object_type: ObjectType, given: str) -> str:
    record_id = to_18(given, object_type.key_prefix)
    if record_id is None:
        raise malformed_id("Record", given).as_exception()
    return record_id


def _component(document: dict[str, Any], full_name: str) -> Component:
    metadata = document.get("Metadata")
    if not isinstance(metadata, dict):  # [assumed wording]
        raise SalesforceError(
            400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]", ("Metadata",)
        )
    kept = {key: value for key, value in metadata.items() if value is not None}
    return {**kept, "fullName": full_name}


def _refusal(error: ComponentError) -> SalesforceError:
    refusal = replace(error.error)
    return refusal.as_exception(_STATUSES.get(refusal.code, 400))
