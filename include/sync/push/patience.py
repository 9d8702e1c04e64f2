"""How long to wait before the next attempt, by what kind of help a failure needs. Pure."""

from datetime import timedelta
from typing import Final

from include.domain.values import FailureClass

_FIRST: Final = {
    FailureClass.RETRY: timedelta(seconds=2),
    FailureClass.CHANGED: timedelta(seconds=2),
    FailureClass.GONE: timedelta(seconds=2),
    FailureClass.PERMISSION: timedelta(hours=1),
    FailureClass.VALIDATION: timedelta(hours=1),
}
_LONGEST: Final = {
    FailureClass.RETRY: timedelta(minutes=15),
    FailureClass.CHANGED: timedelta(minutes=15),
    FailureClass.GONE: timedelta(minutes=15),
    FailureClass.PERMISSION: timedelta(hours=12),
    FailureClass.VALIDATION: timedelta(hours=12),
}
_PARKED: Final = frozenset({FailureClass.PERMISSION, FailureClass.VALIDATION})
_DOUBLINGS: Final = 20  # more would only overflow: every limit is reached long before


def is_parked(failure_class: FailureClass) -> bool:
    """Tell whether a person has to mend something first; then it is looked at now and again."""
    return failure_class in _PARKED


def delay(failure_class: FailureClass, attempts: int, spread: float) -> timedelta:
    """Return how long to wait after a failed attempt: twice as long each time, up to a limit.

    Args:
        failure_class: of the failure.
        attempts: that failed before this one.
        spread: 0 to 1, by chance: so that what failed together is not tried together again.
    """
    return doubling(_FIRST[failure_class], _LONGEST[failure_class], attempts, spread)


def doubling(first: timedelta, longest: timedelta, attempts: int, spread: float) -> timedelta:
    """Return at least half and at most all of `first`, doubled by each attempt up to `longest`."""
    whole: timedelta = min(first * (1 << min(attempts, _DOUBLINGS)), longest)
    return whole / 2 + whole / 2 * spread
