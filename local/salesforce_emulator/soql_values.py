"""Literals of SOQL as the values they are compared with."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import to_bound
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.soql import malformed

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field
    from local.salesforce_emulator.soql_tree import Literal

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def to_stored_value(field: Field, literal: Literal) -> object:
    """Return a literal as the database keeps values of the field."""
    if literal.kind in ("TRUE", "FALSE"):
        return int(literal.kind == "TRUE")
    if literal.kind == "STRING":
        return _text(field, unquote(literal.text))
    if literal.kind == "NUMBER":
        return float(literal.text)
    try:
        if literal.kind == "DATE":
            return date.fromisoformat(literal.text).isoformat()
        return to_bound(datetime.fromisoformat(literal.text))
    except (ValueError, OverflowError) as error:
        raise malformed(f"unexpected token: {literal.text}") from error


def unquote(text: str, kept: str = "") -> str:
    """Return the text of a string literal; escapes of the ``kept`` characters stay as they are."""
    return re.sub(
        r"\\(.)",
        lambda match: match[0] if match[1] in kept else _ESCAPES.get(match[1], match[1]),
        text[1:-1],
        flags=re.DOTALL,
    )


def _text(field: Field, text: str) -> str:
    if field.type not in ("id", "reference") or not text:
        return text
    full = to_18(text, "")
    if full is None:  # [documented]
        raise SalesforceError(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {text}")
    return full


def midnight(day: date) -> datetime:
    """Return the start of a day: in UTC here, in the user's zone in a real org [assumed]."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
