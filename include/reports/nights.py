"""Nights as a person looks at them: what each carried, how it ended, and when the next one is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping

from include.audit.runs import ZONE
from include.store.database import sql_file
from include.store.errors import database_errors

HERE: Final = Path(__file__).parent
HOUR: Final = 20
"""Of the schedule, in its zone; `dags/unsubscribe_nightly_sync.py` says the same."""


class NightState(StrEnum):
    """How a night ended, as a colour."""

    GREEN = "green"  # closed, nothing to look at
    RED = "red"  # closed, and `reason` says what to look at
    FAILED = "failed"  # did not close
    OPEN = "open"  # is running
    PLANNED = "planned"  # decided and wrote nothing, on purpose
    SKIPPED = "skipped"  # the sync was disabled or paused
    MISSED = "missed"  # did not run


@dataclass(frozen=True, slots=True)
class Night:
    """One night of the calendar, whether it ran or not.

    Attributes:
        night: its date in the zone of the schedule.
        state: how it ended.
        reason: why it is red, failed or skipped; None: nothing to say.
        sync_run_id: of the attempt that is shown; None: it was missed.
        airflow_run_id: of that attempt, for a link to Airflow.
        attempts: how often it was started.
        started_at: first attempt (UTC).
        closed_at: end of the attempt that is shown (UTC).
        settings_version: that it ran by.
        decisions: links that were not simply agreed.
        opt_outs_to_store: decided in that direction; so the next three.
        opt_outs_to_salesforce: see above.
        clears_to_store: see above.
        clears_to_salesforce: see above.
        applied: writes that were done.
        failed: writes whose newest outcome is a failure.
        held: clears that wait for a person.
        pushed: boxes that pushes ticked on the day before (from the hour of the night before).
        codes: decisions by code, most frequent first.
        covered_by: of a missed night, the next one that closed; None: none yet.
    """

    night: date
    state: NightState
    reason: str | None = None
    sync_run_id: int | None = None
    airflow_run_id: str | None = None
    attempts: int = 0
    started_at: datetime | None = None
    closed_at: datetime | None = None
    settings_version: int | None = None
    decisions: int = 0
    opt_outs_to_store: int = 0
    opt_outs_to_salesforce: int = 0
    clears_to_store: int = 0
    clears_to_salesforce: int = 0
    applied: int = 0
    failed: int = 0
    held: int = 0
    pushed: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    covered_by: date | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None: it did not end, or never began."""
        if self.started_at is None or self.closed_at is None:
            return None
        return (self.closed_at - self.started_at).total_seconds()


@database_errors()
def last_nights(conn: Connection, *, now: datetime, most: int = 30) -> list[Night]:
    """Return the last nights of the calendar, missed ones included, oldest first.

    Begins with the first night that ever ran, so a new installation has fewer, or none. A night
    that did not begin is missed two hours after it was due.
    """
    values = {
        "last": (now - _DUE).astimezone(ZoneInfo(ZONE)).date(),
        "most": most,
        "zone": ZONE,
        "ahead": timedelta(hours=24 - HOUR),
    }
    rows = conn.execute(sql_file(HERE, "nights"), values).mappings()
    return [_night(row) for row in rows][-most:]


def next_night(now: datetime) -> datetime:
    """Return when the next night is due (UTC): 20:00 in Los Angeles, in summer and in winter."""
    zone = ZoneInfo(ZONE)
    today = now.astimezone(zone).date()
    for day in (today, today + timedelta(days=1)):
        due = datetime.combine(day, time(HOUR), zone).astimezone(UTC)
        if due > now:
            return due
    raise AssertionError("an hour of tomorrow is always ahead")


def _night(row: RowMapping) -> Night:
    values = {name: row[name] for name in _AS_THEY_ARE}
    codes = sorted(row["codes"].items(), key=lambda each: (-each[1], each[0]))
    return Night(state=_state(row), codes=dict(codes), **values)


def _state(row: RowMapping) -> NightState:
    if row["state"] is None:
        return NightState.MISSED
    if row["state"] == "closed":
        return NightState.RED if row["reason"] else NightState.GREEN
    return _OF_RUN[row["state"]]


_DUE: Final = timedelta(hours=HOUR + 2)
_OF_RUN: Final = {
    "open": NightState.OPEN,
    "failed": NightState.FAILED,
    "superseded": NightState.FAILED,
    "planned": NightState.PLANNED,
    "skipped": NightState.SKIPPED,
}
_AS_THEY_ARE: Final = [each.name for each in fields(Night) if each.name not in {"state", "codes"}]
