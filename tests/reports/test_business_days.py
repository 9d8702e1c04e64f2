"""Ten business days, in California, with weekends, holidays and daylight saving."""

from datetime import UTC, date, datetime

import pytest

from include.reports.business_days import (
    business_days_between,
    end_of_business_day,
    us_federal_holidays,
)

HOLIDAYS = us_federal_holidays(date(2026, 1, 1), date(2027, 1, 31))


def test_the_holidays_are_those_of_the_government_as_they_are_observed() -> None:
    assert [
        each.isoformat() for each in us_federal_holidays(date(2026, 1, 1), date(2026, 12, 31))
    ] == [
        "2026-01-01",
        "2026-01-19",
        "2026-02-16",
        "2026-05-25",
        "2026-06-19",
        "2026-07-03",  # the 4th is a Saturday
        "2026-09-07",
        "2026-10-12",
        "2026-11-11",
        "2026-11-26",
        "2026-12-25",
    ]


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        (date(2026, 3, 2), datetime(2026, 3, 17, 7, tzinfo=UTC)),  # summer time began in between
        (date(2026, 3, 7), datetime(2026, 3, 21, 7, tzinfo=UTC)),  # a Saturday counts as its Friday
        (date(2026, 3, 8), datetime(2026, 3, 21, 7, tzinfo=UTC)),
        (date(2026, 11, 13), datetime(2026, 12, 1, 8, tzinfo=UTC)),  # Thanksgiving moves it
        (date(2026, 12, 21), datetime(2027, 1, 7, 8, tzinfo=UTC)),  # Christmas and New Year do
    ],
)
def test_the_tenth_business_day_ends_at_midnight_there(day: date, ends: datetime) -> None:
    assert end_of_business_day(day, 10, HOLIDAYS) == ends


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (datetime(2026, 11, 23, 18, tzinfo=UTC), datetime(2026, 11, 23, 23, tzinfo=UTC), 0),
        (datetime(2026, 11, 23, 18, tzinfo=UTC), datetime(2026, 11, 24, 18, tzinfo=UTC), 1),
        (
            datetime(2026, 11, 24, 5, tzinfo=UTC),
            datetime(2026, 11, 24, 18, tzinfo=UTC),
            1,
        ),
        (datetime(2026, 11, 25, 18, tzinfo=UTC), datetime(2026, 11, 30, 18, tzinfo=UTC), 2),
        (datetime(2026, 11, 21, 18, tzinfo=UTC), datetime(2026, 11, 23, 18, tzinfo=UTC), 1),
        (datetime(2026, 11, 24, 18, tzinfo=UTC), datetime(2026, 11, 23, 18, tzinfo=UTC), 0),
    ],
)
def test_business_days_are_counted_after_the_first_day(
    start: datetime, end: datetime, days: int
) -> None:
    assert business_days_between(start, end, HOLIDAYS) == days


def test_a_deadline_and_a_count_agree() -> None:
    for number in range(300):
        day = date.fromordinal(date(2026, 1, 2).toordinal() + number)
        noon = datetime(day.year, day.month, day.day, 20, tzinfo=UTC)
        end = end_of_business_day(day, 10, HOLIDAYS)
        just_before = datetime.fromtimestamp(end.timestamp() - 1, UTC)
        assert business_days_between(noon, just_before, HOLIDAYS) == 10
