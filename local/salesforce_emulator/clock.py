"""Salesforce's times: whole seconds, UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%S.000Z"


def now() -> datetime:
    """Return the current time cut to the whole second: no finer time exists [recorded]."""
    return datetime.now(UTC).replace(microsecond=0)


def to_stored(at: datetime) -> str:
    """Return the text kept in the database, which sorts by time and is the bulk CSV form."""
    return at.astimezone(UTC).strftime(_FORMAT)


def from_stored(text: str) -> datetime:
    """Return the aware time of a stored text."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)


def to_rest(text: str) -> str:
    """Return a stored time as JSON answers write it: ``2015-06-25T21:53:45.000+0000`` [recorded]."""
    return text[:-1] + "+0000"
