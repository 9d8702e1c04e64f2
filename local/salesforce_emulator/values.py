"""Checks the values which a client wants to save."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import to_stored
from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.ids import to_18

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+\Z")
_BOOLEANS = {"true": 1, "1": 1, "false": 0, "0": 0}


class RefusedValueError(ValueError):
    """The value cannot be saved in the field; carries Salesforce's row error."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


def to_column(field: Field, value: object) -> object:
    """Return what the database keeps for a value out of JSON or CSV.

    Raises:
        RefusedValueError: wrong type, too long, or empty where it must not be.
    """
    if value is None or value == "":
        return _empty(field)
    if field.type == "boolean":
        return _boolean(field, value)
    if field.type == "double":
        return _number(field, value)
    if not isinstance(value, str):
        raise _wrong_type(field, value)
    return _text(field, value)


def _empty(field: Field) -> object:
    if field.type == "boolean":  # a checkbox is never empty [assumed code]
        raise _wrong_type(field, None)
    if not field.nillable:  # [recorded]
        raise RefusedValueError(
            RowError(
                "REQUIRED_FIELD_MISSING",
                f"Required fields are missing: [{field.name}]",
                (field.name,),
            )
        )
    return None


def _boolean(field: Field, value: object) -> int:
    """Return 0 or 1; text is taken without regard to case [assumed]."""
    text = str(value).lower()
    if text not in _BOOLEANS:
        raise _wrong_type(field, value)
    return _BOOLEANS[text]


def _number(field: Field, value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError as error:
        raise _wrong_type(field, value) from error
    if isinstance(value, bool) or not math.isfinite(number):
        raise _wrong_type(field, value)
    return number


def _wrong_type(field: Field, value: object) -> RefusedValueError:
    return RefusedValueError(
        RowError(
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            f"{field.label}: value not of required type: {value}",
            (field.name,),
        )
    )  # [documented]


def _text(field: Field, value: str) -> str:
    if field.length and len(value) > field.length:  # [documented]
        raise RefusedValueError(
            RowError(
                "STRING_TOO_LONG",
                f"{field.label}: data value too large: {value} (max length={field.length})",
                (field.name,),
            )
        )
    if field.type == "email" and not _EMAIL.match(value):  # [documented]
        message = f"{field.label}: invalid email address: {value}"
        raise RefusedValueError(RowError("INVALID_EMAIL_ADDRESS", message, (field.name,)))
    return _typed_text(field, value)


def _typed_text(field: Field, value: str) -> str:
    if field.type == "reference":
        full = to_18(value, "")
        if full is None:
            message = f"{field.label}: id value of incorrect type: {value}"
            raise RefusedValueError(RowError("MALFORMED_ID", message, (field.name,)))
        return full
    try:
        if field.type == "datetime":
            return to_stored(datetime.fromisoformat(value))
        return date.fromisoformat(value).isoformat() if field.type == "date" else value
    except ValueError as error:
        raise _wrong_type(field, value) from error
