"""Was every unsubscribe honoured in time? 48 hours, and 10 business days, for each and all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from include.audit.planner import without_compiling
from include.reports.business_days import (
    business_days_between,
    day_of,
    end_of_business_day,
    us_federal_holidays,
)
from include.reports.tables import Column, Kind
from include.store.errors import database_errors


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
    """Unsubscribes that the store recorded from `start` on and before `end` (aware)."""

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
        rows: acts by field: what the list has. One act that concerns two boxes has two.
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


@database_errors()
def summary(conn: Connection, period: Period, *, now: datetime) -> Summary:
    """Count a period."""
    calendar = _Calendar.of(period, now)
    values = calendar.values(period, now)
    with without_compiling(conn):
        row = conn.execute(text(_JUDGED + SUMMARY), values).one()
    erased = conn.execute(text(ERASED), {"start": period.start, "end": period.end}).scalar_one()
    counts = row.standings or {}
    return Summary(
        unsubscribes=row.unsubscribes,
        rows=row.rows,
        standings={each: int(counts.get(each.value, 0)) for each in Standing},
        median_hours=row.median_hours,
        p95_hours=row.p95_hours,
        worst_hours=row.worst_hours,
        erased=erased,
        holidays=calendar.of_period(period, now),
    )


@database_errors()
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
    calendar = _Calendar.of(period, now)
    values = calendar.values(period, now) | _wanted(standings)
    statement = text(f"{_JUDGED}{LISTED} LIMIT :most OFFSET :skip")
    with without_compiling(conn):
        rows = conn.execute(statement, values | {"most": most, "skip": skip}).mappings().all()
    return [calendar.carried(row, now) for row in rows]


def stream(
    conn: Connection, period: Period, *, now: datetime, standings: Sequence[Standing] = ()
) -> Iterator[Carried]:
    """Yield the whole list in the same order, a few thousand rows in memory at a time."""
    calendar = _Calendar.of(period, now)
    values = calendar.values(period, now) | _wanted(standings)
    with database_errors():
        rows = conn.execute(
            text(_JUDGED + LISTED), values, execution_options={"yield_per": AT_A_TIME}
        )
        for row in rows.mappings():
            yield calendar.carried(row, now)


def as_row(carried: Carried) -> dict[str, Any]:
    """Return the values by the names of `COLUMNS`, for a file."""
    return {
        "act": carried.act_id,
        "person": carried.person_id,
        **{column.name: getattr(carried, column.name) for column in COLUMNS[2:]},
    }


@dataclass(frozen=True, slots=True)
class _Calendar:
    """The business days that a report needs."""

    first: date
    last: date
    holidays: list[date]

    @classmethod
    def of(cls, period: Period, now: datetime) -> "_Calendar":
        """Begin a year before the period: a box may have been ticked long before it was seen."""
        first, last = day_of(period.start) - _BEFORE, day_of(max(period.end, now))
        return cls(first, last, us_federal_holidays(first, last + _AFTER))

    def of_period(self, period: Period, now: datetime) -> list[date]:
        """Return the holidays that lie in the period, or after it while it may still run out."""
        last = day_of(min(now, period.end + _AFTER))
        return [each for each in self.holidays if day_of(period.start) <= each <= last]

    def values(self, period: Period, now: datetime) -> dict[str, Any]:
        """Return what the statement asks for."""
        count = (self.last - self.first).days + 1
        days = [self.first + timedelta(days=ahead) for ahead in range(count)]
        ends = [end_of_business_day(day, BUSINESS_DAYS, self.holidays) for day in days]
        return {"start": period.start, "end": period.end, "now": now, "days": days, "ends": ends}

    def carried(self, row: RowMapping, now: datetime) -> Carried:
        """Make one row."""
        values = dict(row)
        end = values["verified_at"] or now
        hours = (end - values["captured_at"]).total_seconds() / 3600
        days = business_days_between(values["captured_at"], end, self.holidays)
        values["standing"] = Standing(values["standing"])
        return Carried(**values, hours=hours, business_days=days)


def _wanted(standings: Sequence[Standing]) -> dict[str, Any]:
    return {"standings": [each.value for each in standings or Standing]}


BUSINESS_DAYS: Final = 10
AT_A_TIME: Final = 2_000
_BEFORE: Final = timedelta(days=366)
_AFTER: Final = timedelta(days=30)
_JUDGED: Final = (Path(__file__).parent / "queries" / "judged.sql").read_text(encoding="utf-8")
SUMMARY = """
SELECT count(*) AS rows, count(DISTINCT act_id) AS unsubscribes,
       (SELECT jsonb_object_agg(by.standing, by.rows)
        FROM (SELECT standing, count(*) AS rows FROM judged GROUP BY standing) AS by) AS standings,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS median_hours,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY hours) AS p95_hours,
       max(hours) AS worst_hours
FROM (
    SELECT act_id,
           CASE WHEN is_synced THEN extract(epoch FROM verified_at - captured_at)::float8 / 3600 END
               AS hours
    FROM judged
) AS timed
"""
LISTED = """
SELECT j.act_id, j.person_id, j.direction, j.origin, j.scope, j.object, j.record_id, j.field,
       j.captured_at, j.pushed_at, j.verified_at, j.due_48_hours, j.due_10_days, j.standing,
       coalesce(j.unreachable, o.code) AS reason,
       CASE j.unreachable
           WHEN 'NO_SALESFORCE_ID' THEN 'Give the person the Id of their Contact or Lead.'
           WHEN 'BAD_SALESFORCE_ID' THEN 'Correct the Id: it is not that of a Contact or Lead.'
           ELSE o.fix
       END AS fix
FROM judged AS j
LEFT JOIN opt_out_sync.v_push_outbox AS o ON o.person_id = j.person_id AND j.verified_at IS NULL
WHERE j.standing = ANY (CAST(:standings AS text[]))
ORDER BY array_position(
             ARRAY['breached', 'late', 'at_risk', 'unreachable', 'slow', 'pending', 'in_time',
                   'ended', 'not_synced'], j.standing),
         j.captured_at, j.act_id, j.record_id, j.field
"""
ERASED = """
SELECT coalesce(sum(opt_outs), 0)::bigint FROM opt_out_sync.erasure
WHERE erased_at >= :start AND erased_at < :end
"""
COLUMNS: Final = (
    Column("act", "Unsubscribe", Kind.NUMBER),
    Column("person", "Person", Kind.NUMBER),
    Column("standing", "Standing", Kind.CHOICE, choices=tuple(each.value for each in Standing)),
    Column("direction", "Direction", Kind.CHOICE, choices=("to_salesforce", "to_store")),
    Column("origin", "Origin", Kind.TEXT),
    Column("scope", "Scope", Kind.TEXT),
    Column("object", "Object", Kind.TEXT),
    Column("record_id", "Record", Kind.TEXT),
    Column("field", "Field", Kind.TEXT),
    Column("captured_at", "Captured", Kind.TIME),
    Column("pushed_at", "Pushed", Kind.TIME),
    Column("verified_at", "Verified", Kind.TIME),
    Column("hours", "Hours", Kind.DECIMAL),
    Column("business_days", "Business days", Kind.NUMBER),
    Column("due_48_hours", "48 hours end", Kind.TIME),
    Column("due_10_days", "10 business days end", Kind.TIME),
    Column("reason", "In the way", Kind.TEXT),
    Column("fix", "What to do", Kind.TEXT),
)
