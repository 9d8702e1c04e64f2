"""The wall clock is an argument: tests pass their own, tasks pass `utc_now`."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment, timezone-aware."""
    return datetime.now(UTC)
