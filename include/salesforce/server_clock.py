"""Salesforce's clock beside ours.

An opt-out in Salesforce has the time of Salesforce's clock, a consent that of the store's. Whoever
compares them has to know how far the two are apart.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from include.salesforce.session import SalesforceSession

_SECOND: Final = timedelta(seconds=1)  # of an HTTP date, which is cut off
_NONE: Final = timedelta(0)


def read_clock_offset(session: SalesforceSession, clock: Callable[[], datetime]) -> timedelta:
    """Return how far Salesforce's clock is certainly ahead of ours; negative: behind.

    Zero where the difference is within what a request takes, or Salesforce does not tell the time.
    """
    return session.repeat(lambda: _offset(session, clock))


def _offset(session: SalesforceSession, clock: Callable[[], datetime]) -> timedelta:
    asked_at = clock()
    response = session.request("GET", "limits", repeatable=True)
    answered_at = clock()
    try:
        told = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return _NONE
    if told.tzinfo is None:
        return _NONE
    return max(told - answered_at, _NONE) + min(told + _SECOND - asked_at, _NONE)
