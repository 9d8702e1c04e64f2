"""Date literals such as LAST_N_DAYS:3: each is a span of whole days, its end not included.

Weeks start on Sunday [documented for the default locale]; days are UTC's [assumed].
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import now, to_bound
from local.salesforce_emulator.soql import malformed
from local.salesforce_emulator.soql_values import midnight

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.salesforce_emulator.objects import Field

    Span = tuple[date, date]


def span(field: Field, word: str) -> tuple[str, str]:
    """Return the first moment of the span and the first one after it, as the field is kept."""
    name, _, count = word.upper().partition(":")
    today = now().date()
    try:
        first, end = _many(name, today, int(count)) if count else _SPANS[name](today)
    except (OverflowError, ValueError) as error:
        raise malformed(f"unexpected token: {word}") from error
    if field.type == "date":
        return first.isoformat(), end.isoformat()
    return to_bound(midnight(first)), to_bound(midnight(end))


def _many(name: str, today: date, count: int) -> Span:
    """Return the span of LAST_N_DAYS and its sisters; the last N days include today."""
    direction, _, unit = name.partition("_N_")
    if unit == "MONTHS":
        this = _month(today, 0)[0]
        if direction == "LAST":
            return _month(this, -count)[0], this
        return _month(this, 1)[0], _month(this, count)[1]
    if unit == "WEEKS":
        first, end = _week(today, 0)
        weeks = timedelta(weeks=count)
        return (first - weeks, first) if direction == "LAST" else (end, end + weeks)
    days, tomorrow = timedelta(days=count), today + timedelta(days=1)
    return (today - days, tomorrow) if direction == "LAST" else (tomorrow, tomorrow + days)


def _day(today: date, offset: int) -> Span:
    first = today + timedelta(days=offset)
    return first, first + timedelta(days=1)


def _week(today: date, offset: int) -> Span:
    sunday = today - timedelta(days=today.isoweekday() % 7) + timedelta(weeks=offset)
    return sunday, sunday + timedelta(weeks=1)


def _month(today: date, offset: int) -> Span:
    number = today.year * 12 + today.month - 1 + offset
    first = date(number // 12, number % 12 + 1, 1)
    return first, date((number + 1) // 12, (number + 1) % 12 + 1, 1)


def _year(today: date, offset: int) -> Span:
    return date(today.year + offset, 1, 1), date(today.year + offset + 1, 1, 1)


_SPANS: dict[str, Callable[[date], Span]] = {
    "TODAY": lambda today: _day(today, 0),
    "YESTERDAY": lambda today: _day(today, -1),
    "TOMORROW": lambda today: _day(today, 1),
    "LAST_WEEK": lambda today: _week(today, -1),
    "THIS_WEEK": lambda today: _week(today, 0),
    "NEXT_WEEK": lambda today: _week(today, 1),
    "LAST_MONTH": lambda today: _month(today, -1),
    "THIS_MONTH": lambda today: _month(today, 0),
    "NEXT_MONTH": lambda today: _month(today, 1),
    "LAST_YEAR": lambda today: _year(today, -1),
    "THIS_YEAR": lambda today: _year(today, 0),
    "NEXT_YEAR": lambda today: _year(today, 1),
    "LAST_90_DAYS": lambda today: (today - timedelta(days=90), today + timedelta(days=1)),
}
