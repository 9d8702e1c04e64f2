"""Every row of the audit has a place, at the end of a month and by a clock that is wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from include.audit import decisions, writes
from include.store.database import transaction
from tests.database import world
from tests.database.world import open_run

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LAST_MINUTE = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
PLACES = """
SELECT CAST(tableoid AS regclass)::text FROM opt_out_sync.{} ORDER BY id
"""


def places(engine: Engine, table: str) -> list[str]:
    """Name the partition of each row, in the order in which the rows came."""
    with transaction(engine) as conn:
        found = conn.execute(text(PLACES.format(table))).scalars()
        return [name.removeprefix(f"opt_out_sync.{table}_") for name in found]


def test_a_night_over_the_end_of_a_month_and_a_year_has_both_months(engine: Engine) -> None:
    run = open_run(engine, now=LAST_MINUTE)
    for at in (LAST_MINUTE, LAST_MINUTE + 2 * MINUTE):
        with transaction(engine) as conn:
            decisions.record_decisions(conn, run, world.decisions([1]), now=at)
            writes.record_outcomes(conn, run, world.outcomes([1], "applied"), now=at)
    assert places(engine, "merge_audit") == ["2026_12", "2027_01"]
    assert places(engine, "write_attempt") == ["2026_12", "2027_01"]


def test_a_run_of_a_whole_month_still_has_a_place(engine: Engine) -> None:
    run = open_run(engine, now=LAST_MINUTE)
    with transaction(engine) as conn:
        at = LAST_MINUTE + 31 * DAY
        decisions.record_decisions(conn, run, world.decisions([1]), now=at)
    assert places(engine, "merge_audit") == ["2027_01"]


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_jumps_loses_no_row_and_stops_no_night(engine: Engine, days: int) -> None:
    """What no month was made for goes to the default partition, and stays there."""
    run = open_run(engine, now=LAST_MINUTE)
    jumped = LAST_MINUTE + days * DAY
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, world.decisions([1]), now=jumped)
        writes.record_outcomes(conn, run, world.outcomes([1], "applied"), now=jumped)
    assert places(engine, "merge_audit") == ["default"]
    later = open_run(engine, "two", now=LAST_MINUTE + timedelta(hours=1) + abs(days) * DAY)
    with transaction(engine) as conn:
        at = LAST_MINUTE + abs(days) * DAY + MINUTE
        decisions.record_decisions(conn, later, world.decisions([2]), now=at)
    assert len(places(engine, "merge_audit")) == 2
