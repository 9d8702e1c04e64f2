"""Business days in California: weekends and federal holidays do not count. Pure.

A deadline is the end of a day there: whoever opts out at any time of a Monday has until the end of
the tenth business day after it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from pandas.tseries.holiday import USFederalHolidayCalendar

ZONE: Final = ZoneInfo("America/Los_Angeles")


def us_federal_holidays(first: date, last: date) -> list[date]:
    """Return the federal holidays of the United States as observed, both ends included."""
    found = USFederalHolidayCalendar().holidays(datetime.combine(first, time()), last)
    return [each.date() for each in found]


def day_of(moment: datetime) -> date:
    """Return the day in California."""
    return moment.astimezone(ZONE).date()


def end_of_business_day(start: date, days: int, holidays: Sequence[date]) -> datetime:
    """Return the end (UTC) of the n-th business day after a day."""
    last = np.busday_offset(start, days, roll="backward", holidays=list(holidays)).astype(date)
    return datetime.combine(last + timedelta(days=1), time(), ZONE).astimezone(UTC)


def business_days_between(start: datetime, end: datetime, holidays: Sequence[date]) -> int:
    """Count the business days after the day of `start`, up to the day of `end`."""
    first, last = day_of(start) + timedelta(days=1), day_of(end) + timedelta(days=1)
    return max(0, int(np.busday_count(first, last, holidays=list(holidays))))
