"""Was every unsubscribe honoured in time? 48 hours, and 10 business days, for each and all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection


class Standing(StrEnum):
    """Where one opt-out of one field stands, worst first."""

    BREACHED = "breached"  # 10 business days passed, and it is not there
    LATE = "late"  # it is there, and it took more than 10 business days
    AT_RISK = "at_risk"  # 48 hours passed, and it is not there
    UNREACHABLE = "unreachable"  # no Salesforce record can be written: `reason` says why
    SLOW = "slow"  # it is there, after more than 48 hours
    PENDING = "pending"  # on its way, in time
    IN_TIME = "in_time"  # it is there, within 48 hours
    ENDED = "ended"  # the person consented again before it was there
    NOT_SYNCED = "not_synced"  # the settings leave it out (per sender, bounce)


@dataclass(frozen=True, slots=True)
class Period:
    """Unsubscribes captured from `start` on and before `end` (aware)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Carried:
    """One unsubscribe on its way to one place.

    Attributes:
        act_id: of the unsubscribe in the store.
        person_id: whose.
        direction: `to_salesforce`, or `to_store` for a box that was ticked in Salesforce.
        origin: of the act.
        scope: of the act.
        object: of the record; None: no record is known.
        record_id: of the record; None: no record is known.
        field: the box; None: no record is known.
        captured_at: when we knew (UTC): the act was recorded; for `to_store` the latest time at
            which the box can have been ticked.
        pushed_at: first write that Salesforce, or the store, took (UTC); None: not yet, or it was
            there already.
        verified_at: when it was seen to be there (UTC); None: not yet.
        hours: from captured to verified, or until now.
        business_days: the same in business days.
        due_48_hours: captured plus 48 hours (UTC).
        due_10_days: end of the tenth business day in California (UTC).
        standing: where it stands.
        reason: code of what is in the way; None: nothing is.
        fix: what to do about it; None: nothing is in the way.
    """

    act_id: int
    person_id: int
    direction: str
    origin: str
    scope: str
    object: str | None
    record_id: str | None
    field: str | None
    captured_at: datetime
    pushed_at: datetime | None
    verified_at: datetime | None
    hours: float
    business_days: int
    due_48_hours: datetime
    due_10_days: datetime
    standing: Standing
    reason: str | None
    fix: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A period in numbers.

    Attributes:
        unsubscribes: acts, each once.
        rows: acts by field: what the list has.
        standings: rows by standing, each named, worst first.
        median_hours: of what arrived; None: nothing did.
        p95_hours: of what arrived.
        worst_hours: of what arrived.
        erased: opt-outs of people who were erased in the period and are kept as keyed hashes.
        holidays: that did not count as business days.
    """

    unsubscribes: int
    rows: int
    standings: dict[Standing, int]
    median_hours: float | None
    p95_hours: float | None
    worst_hours: float | None
    erased: int
    holidays: Sequence[date]


def summary(conn: Connection, period: Period, *, now: datetime) -> Summary:
    """Count a period."""
    raise NotImplementedError


def carried(
    conn: Connection,
    period: Period,
    *,
    now: datetime,
    standings: Sequence[Standing] = (),
    skip: int = 0,
    most: int = 100,
) -> list[Carried]:
    """Return a page of the list: worst standing first, within it the oldest first.

    Args:
        conn: in a transaction.
        period: captured when.
        now: the wall clock.
        standings: only these; empty: all.
        skip: rows to leave out.
        most: rows to return.
    """
    raise NotImplementedError


def stream(
    conn: Connection, period: Period, *, now: datetime, standings: Sequence[Standing] = ()
) -> Iterator[Carried]:
    """Yield the whole list in the same order, a few thousand rows in memory at a time."""
    raise NotImplementedError
