"""What Salesforce says to metadata which it does not take."""

from __future__ import annotations

from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.metadata.components import ComponentError


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


def no_permission() -> ComponentError:
    """Refuse a user without Customize Application [documented code]."""
    return ComponentError(
        RowError("INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id")
    )
