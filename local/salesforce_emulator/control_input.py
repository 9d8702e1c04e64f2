"""Reads the orders of the control API."""

from __future__ import annotations

from typing import Any

from local.salesforce_emulator.errors import SalesforceError


def required(document: dict[str, Any], key: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    """Return the value of a key.

    Raises:
        SalesforceError: 400 BAD_REQUEST, it is missing or of another type.
    """
    value = document.get(key)
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(each.__name__ for each in kinds)
        raise bad_request(f"{key} must be given, of type {names}")
    return value


def bad_request(message: str) -> SalesforceError:
    """Return the refusal of an order."""
    return SalesforceError(400, "BAD_REQUEST", message)
