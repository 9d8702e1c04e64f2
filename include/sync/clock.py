"""The wall clock is an argument: tests pass their own, tasks pass that of the database."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment by this machine's clock, timezone-aware."""
    return datetime.now(UTC)
