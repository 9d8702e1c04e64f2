"""Salesforce's times: whole seconds, UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%S.000Z"
_SECONDS = "%Y-%m-%dT%H:%M:%S"


def now() -> datetime:
    """Return the current time cut to the whole second: no finer time exists [recorded]."""
    return datetime.now(UTC).replace(microsecond=0)


def to_stored(at: datetime) -> str:
    """Return the text kept in the database, which sorts by time and is the bulk CSV form."""
    return at.astimezone(UTC).isoformat(timespec="seconds")[:19] + ".000Z"


def to_bound(at: datetime) -> str:
    """Return the text which compares with stored times as ``at`` does, milliseconds included."""
    moment = at.astimezone(UTC)
    return f"{moment.strftime(_SECONDS)}.{moment.microsecond // 1_000:03d}Z"


def from_stored(text: str) -> datetime:
    """Return the aware time of a stored text."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)


def to_rest(text: str) -> str:
    """Return a stored time as JSON has it: ``2015-06-25T21:53:45.000+0000`` [recorded]."""
    return text[:-1] + "+0000"
