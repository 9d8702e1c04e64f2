"""Nights as a person looks at them: what each carried, how it ended, and when the next one is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection


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
        raise NotImplementedError


def last_nights(conn: Connection, *, now: datetime, most: int = 30) -> list[Night]:
    """Return the last nights of the calendar, missed ones included, oldest first.

    Begins with the first night that ever ran, so a new installation has fewer, or none.
    """
    raise NotImplementedError


def next_night(now: datetime) -> datetime:
    """Return when the next night is due (UTC): 20:00 in Los Angeles, in summer and in winter."""
    raise NotImplementedError
