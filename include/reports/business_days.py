"""Business days: weekends and the holidays of the United States do not count. Pure."""

from datetime import date, datetime


def us_federal_holidays(first: date, last: date) -> list[date]:
    """Return the federal holidays as observed, both ends included."""
    raise NotImplementedError


def business_days_between(start: datetime, end: datetime, holidays: list[date]) -> int:
    """Count the business days in California after the day of `start`, up to the day of `end`."""
    raise NotImplementedError
