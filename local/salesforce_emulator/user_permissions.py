"""``UserPermissionAccess``: what the user who asks is permitted, one row [documented]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import soql
from local.salesforce_emulator.errors import not_emulated
from local.salesforce_emulator.setup_objects import USER_PERMISSIONS

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.schema import Schema
    from local.salesforce_emulator.soql_tree import Query
    from local.salesforce_emulator.web import Call

_NAME = "UserPermissionAccess"
_PERMISSIONS = {f"permissions{name}".lower(): name for name in USER_PERMISSIONS}


def is_meant(query: Query) -> bool:
    """Whether a query is about this object, which has no table."""
    return query.object_name.text.lower() == _NAME.lower()


def answer(call: Call, query: Query, schema: Schema) -> Response:
    """Answer the one row; conditions and order are not emulated.

    Raises:
        SalesforceError: 501, anything but permissions is asked for.
    """
    if query.where is not None or query.order or query.is_aggregate or not query.fields:
        raise not_emulated(f"conditions, order and groups of {_NAME}")
    record: dict[str, Any] = {"attributes": {"type": _NAME}}
    for name in query.fields:
        permission = _PERMISSIONS.get(name.text.lower()) if isinstance(name, soql.Name) else None
        if permission is None:
            raise not_emulated(f"{_NAME} with anything but its permissions")
        record[f"Permissions{permission}"] = schema.may(permission)
    return call.answer({"totalSize": 1, "done": True, "records": [record]})
