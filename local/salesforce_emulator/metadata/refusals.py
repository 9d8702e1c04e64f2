"""What Salesforce says to metadata which it does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.metadata.components import ComponentError

if TYPE_CHECKING:
    from local.salesforce_emulator.org import Org


def not_found(kind: str, full_name: str) -> ComponentError:
    """Refuse a name that nothing has [documented]."""
    message = f"In field: fullName - no {kind} named {full_name} found"
    return ComponentError(RowError("INVALID_CROSS_REFERENCE_KEY", message))


def taken(full_name: str, sobject: str) -> ComponentError:
    """Refuse a field's name that another field has [documented code, captured wording]."""
    name = full_name.partition(".")[2]
    message = f"There is already a field named {name.removesuffix('__c')} on {sobject}."
    return ComponentError(RowError("DUPLICATE_DEVELOPER_NAME", message))


def duplicate(kind: str, full_name: str) -> ComponentError:
    """Refuse a name that another component has [documented code, assumed wording]."""
    message = f"This {kind} already exists: {full_name}"
    return ComponentError(RowError("DUPLICATE_DEVELOPER_NAME", message))


def invalid(message: str, *fields: str) -> ComponentError:
    """Refuse a component that contradicts itself [documented code, assumed wording]."""
    return ComponentError(RowError("FIELD_INTEGRITY_EXCEPTION", message, fields))


def refuse_unless(org: Org, user_id: str, permission: str = "CustomizeApplication") -> None:
    """Refuse a user without a permission.

    Raises:
        ComponentError: INSUFFICIENT_ACCESS [documented code].
    """
    if not org.schema_of(user_id).may(permission):
        message = "insufficient access rights on cross-reference id"
        raise ComponentError(RowError("INSUFFICIENT_ACCESS", message))
