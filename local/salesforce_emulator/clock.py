"""Salesforce's times: whole seconds, UTC; and a clock which can be wrong on demand."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = "%Y-%m-%dT%H:%M:%S.000Z"
_SECONDS = "%Y-%m-%dT%H:%M:%S"

_offset = timedelta(0)
_frozen_at: ContextVar[datetime | None] = ContextVar("frozen_at", default=None)


def now() -> datetime:
    """Return the current time cut to the whole second: no finer time exists [recorded]."""
    return (_frozen_at.get() or exact_now()).replace(microsecond=0)


def exact_now() -> datetime:
    """Return the org's time with its fractions, which only a header of HTTP and a token need."""
    return datetime.now(UTC) + _offset


def set_offset(offset: timedelta) -> None:
    """Let the org's clock be wrong by so much; zero makes it right again."""
    global _offset
    _offset = offset


@contextlib.contextmanager
def frozen(at: datetime | None = None) -> Iterator[None]:
    """Stop the clock for what happens inside: a transaction stamps with the time it began."""
    token = _frozen_at.set(at or exact_now())
    try:
        yield
    finally:
        _frozen_at.reset(token)


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
