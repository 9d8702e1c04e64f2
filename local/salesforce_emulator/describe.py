"""What the org tells about itself: versions, resources, objects, fields, limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import Response

from local.salesforce_emulator import layout_views
from local.salesforce_emulator.conditions import entity_tag, header_time
from local.salesforce_emulator.describe_fields import (
    field_description,
    object_description,
    object_summary,
)
from local.salesforce_emulator.versions import NEWEST_VERSION, OLDEST_VERSION

if TYPE_CHECKING:
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_RESOURCES = (
    "composite", "jobs", "limits", "query", "queryAll", "sobjects", "tooling",
)  # fmt: skip


def versions(_org: Org, call: Call) -> Response:
    """``GET /services/data``: needs no login [documented]."""
    numbers = [f"{number}.0" for number in range(OLDEST_VERSION, NEWEST_VERSION + 1)]
    return call.answer(
        [
            {"label": f"v{number}", "url": f"/services/data/v{number}", "version": number}
            for number in numbers
        ]
    )


def resources(_org: Org, call: Call) -> Response:
    """``GET /services/data/v{v}``: only what is emulated."""
    return call.answer({name: f"{call.data_path}/{name}" for name in _RESOURCES})


def limits(org: Org, call: Call) -> Response:
    """``GET limits``."""
    return call.answer(org.limits.report())


def record_counts(org: Org, call: Call) -> Response:
    """``GET limits/recordCount?sObjects=A,B``: living records, empty objects left out [recorded].

    A real org counts now and then [documented], this one at once. Unknown names are left out
    [assumed]; without names every object is counted [documented].
    """
    schema = org.schema_of(call.user_id)
    names = [each.strip() for each in call.query.get("sObjects", "").split(",") if each.strip()]
    found = [schema.find_object(name) for name in names] if names else schema.object_types()
    connection, counts = org.database.read(), []
    for object_type in found:
        if object_type is None:
            continue
        alive = ' where "IsDeleted" = 0' if object_type.has("IsDeleted") else ""
        rows = connection.execute(f'select count(*) from "{object_type.name}"{alive}')  # noqa: S608
        (count,) = rows.fetchone()
        counts.append({"count": count, "name": object_type.name})
    return call.answer({"sObjects": [each for each in counts if each["count"]]})


def describe_global(org: Org, call: Call) -> Response:
    """``GET sobjects``: 304 for a client that knows it [recorded]."""
    visible = org.schema_of(call.user_id).object_types()
    objects = [object_summary(each, call.data_path) for each in visible]
    document = {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}
    return _unless_known(org, call, document)


def object_metadata(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}``."""
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    summary = object_summary(object_type, call.data_path)
    return call.answer({"objectDescribe": summary, "recentItems": []})


def describe_object(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/describe``: a hidden field is absent [recorded]."""
    schema = org.schema_of(call.user_id)
    object_type = schema.object_type(call.params["object"])
    fields = [
        field_description(
            field,
            updateable=schema.access(object_type, field).updateable,
            createable=object_type.saves and schema.may_create_with(object_type, field),
        )
        for field in schema.visible_fields(object_type)
    ]
    summary = object_description(object_type, call.data_path)
    return _unless_known(org, call, {**summary, "fields": fields})


def describe_layouts(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/describe/layouts`` and ``.../{recordTypeId}``: the default layout."""
    schema = org.schema_of(call.user_id)
    object_type = schema.object_type(call.params["object"])
    layout = layout_views.described(org.database.read(), schema, object_type)
    is_one = "record_type" in call.params
    return call.answer(layout if is_one else {"layouts": [layout], "recordTypeMappings": []})


def _unless_known(org: Org, call: Call, document: object) -> Response:
    """Answer with ETag and Last-Modified, or 304 without a body [recorded].

    The tag follows from the document, so that a change of rights makes another one [assumed].
    """
    changed_at = org.definitions_changed_at
    headers = {
        "ETag": entity_tag(json.dumps(document)),
        "Last-Modified": changed_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }
    known = call.headers.get("if-none-match", "").replace("W/", "").split(",")
    since = header_time(call, "if-modified-since")
    if headers["ETag"] in map(str.strip, known) or (since is not None and changed_at <= since):
        return Response(status_code=304, headers=headers)
    return call.answer(document, 200, headers)
