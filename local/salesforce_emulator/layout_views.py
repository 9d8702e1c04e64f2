"""Page layouts as the describe of a user shows them: fewer words than the Metadata API's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.schema import UnknownFieldError

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.schema import Schema


def described(
    connection: sqlite3.Connection, schema: Schema, object_type: ObjectType
) -> dict[str, Any]:
    """Return the first layout of an object; fields the user cannot see are left out."""
    row = connection.execute(
        'select "Id", metadata from "Layout" where "TableEnumOrId" = ? order by 1 limit 1',
        (object_type.name,),
    ).fetchone()
    layout_id, layout = (row[0], json.loads(row[1])) if row else (None, {})
    sections = [_section(schema, object_type, each) for each in layout.get("layoutSections", [])]
    return {
        "id": layout_id,
        "detailLayoutSections": sections,
        "editLayoutSections": sections,
        "relatedLists": [],
        "quickActionList": None,
        "buttonLayoutSection": None,
        "multirowEditLayoutSections": [],
    }


def _section(schema: Schema, object_type: ObjectType, section: dict[str, Any]) -> dict[str, Any]:
    columns = section.get("layoutColumns", [])
    cells = [
        _item(schema, object_type, item)
        for column in columns
        for item in column.get("layoutItems") or []
        if _is_visible(schema, object_type, item)
    ]
    return {
        "heading": section.get("label"),
        "useHeading": True,
        "columns": len(columns),
        "rows": len(cells),
        "layoutRows": [{"numItems": 1, "layoutItems": [cell]} for cell in cells],
    }


def _is_visible(schema: Schema, object_type: ObjectType, item: dict[str, Any]) -> bool:
    try:
        schema.visible_field(object_type, str(item.get("field")))
    except UnknownFieldError:
        return False
    return True


def _item(schema: Schema, object_type: ObjectType, item: dict[str, Any]) -> dict[str, Any]:
    field = schema.visible_field(object_type, str(item.get("field")))
    access = schema.access(object_type, field)
    return {
        "label": field.label,
        "editableForUpdate": access.updateable and item.get("behavior") != "Readonly",
        "editableForNew": access.updateable and item.get("behavior") != "Readonly",
        "required": item.get("behavior") == "Required",
        "placeholder": False,
        "layoutComponents": [{"type": "Field", "value": field.name, "displayLines": 1}],
    }
