"""``query?columns=true``: what the columns of a query are, without its records.

Not documented; sf and others ask for it. The keys are those that they read [assumed as a whole].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field
    from local.salesforce_emulator.soql_sql import Plan
    from local.salesforce_emulator.soql_tree import Query

_APEX_TYPES = {
    "id": "Id", "reference": "Id", "boolean": "Boolean", "datetime": "Datetime", "date": "Date",
    "double": "Double",
}  # fmt: skip


def column_metadata(query: Query, plan: Plan) -> dict[str, Any]:
    """Return the description of a query's columns."""
    columns = [_of_group(each.label, each.field) for each in plan.groups]
    for field in plan.fields:
        _add(columns, field.name.split("."), field)
    return {
        "columnMetadata": columns,
        "entityName": plan.object_type.name,
        "groupBy": bool(query.groups),
        "idSelected": any(field.name == "Id" for field in plan.fields),
        "keyPrefix": plan.object_type.key_prefix,
    }


def _add(columns: list[dict[str, Any]], steps: list[str], field: Field) -> None:
    """Add a field below the relationships that lead to it."""
    for step in steps[:-1]:
        known = next((each for each in columns if each["columnName"] == step), None)
        if known is None:
            known = _column(step, None)
            columns.append(known)
        columns = known["joinColumns"]
    columns.append(_column(steps[-1], field))


def _of_group(label: str, field: Field | None) -> dict[str, Any]:
    return _column(label, field) | {"aggregate": field is None}


def _column(name: str, field: Field | None) -> dict[str, Any]:
    kind = _APEX_TYPES.get(field.type, "String") if field else "Integer"
    return {
        "aggregate": False,
        "apexType": kind,
        "booleanType": kind == "Boolean",
        "columnName": name,
        "custom": bool(field and field.custom),
        "displayName": name,
        "foreignKeyName": None,
        "insertable": bool(field and field.is_createable),
        "joinColumns": [],
        "numberType": kind in ("Double", "Integer"),
        "textType": kind == "String",
        "updatable": bool(field and field.updateable),
    }
