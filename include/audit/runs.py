"""Runs: who may write now, which attempt, which step.

One night at a time, over tasks, processes and machines: a row with a lease that every writing
transaction renews, and a fence per step that grows each time the step starts. `guard` locks that
row, so an attempt that was replaced cannot commit anything, however late it wakes up.

Locks are taken in one order, so that nobody waits in a circle: the openers' lock, then a run's row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, RowMapping, text

from include.audit import run_sql, settings
from include.audit.settings import SettingsVersion
from include.domain.errors import PermanentSyncError, TransientSyncError
from include.store.database import transaction
from include.store.errors import database_errors

LEASE = timedelta(minutes=30)
PUSH_LEASE = timedelta(minutes=5)  # nobody waits for it, but people whom a killed push had claimed
PREFLIGHT = "preflight"
ZONE = "America/Los_Angeles"
Kind = Literal["night", "push", "held_clears", "replay", "correction"]
Interval = tuple[datetime, datetime]
Counts = Mapping[str, object]


class NightAlreadyOpenError(TransientSyncError):
    """Another Airflow run holds the lease."""


class StaleAttemptError(PermanentSyncError):
    """This attempt was replaced by a newer one: it has written nothing and never will."""


class NightClosedError(PermanentSyncError):
    """The run has ended: starting the night again from its first task opens a new attempt."""


class UnknownRunError(PermanentSyncError):
    """No run has this id."""


class UnknownOrgError(PermanentSyncError):
    """A step came before preflight had named the org."""


class WrongOrgError(PermanentSyncError):
    """This database, or this run, belongs to another Salesforce org."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(
            f"this database belongs to Salesforce org {expected}, the Connection leads to "
            f"{found}: use a database of its own for each org"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, as one step sees it."""

    id: int
    kind: str
    state: str
    reason: str | None
    org_id: str | None
    night: date
    interval_start: datetime | None
    interval_end: datetime | None
    airflow_run_id: str
    attempt: int
    settings: SettingsVersion
    plan_only: bool
    started_at: datetime
    extraction_started_at: datetime | None
    counts: dict[str, Any] | None
    step: str = ""
    fence: int = 0
    finished: dict[str, Any] | None = None

    @property
    def org(self) -> str:
        """The org, of a run whose preflight has finished.

        Raises:
            UnknownOrgError: preflight has not.
        """
        if self.org_id is None:
            raise UnknownOrgError(f"run {self.id} has no org: start the night from preflight")
        return self.org_id


def open_run(
    engine: Engine,
    *,
    airflow_run_id: str,
    interval: Interval | None,
    plan_only: bool,
    now: datetime,
    kind: Kind = "night",
    zone: str = ZONE,
) -> Run:
    """Take the lease and start a new attempt, in its step `preflight`.

    One night, replay, held-clears run or correction is open at a time; a push needs no lease.
    An attempt of the same kind and Airflow run that is open or failed becomes `superseded`; a run
    of another one whose lease has expired becomes `failed`. Repeating the call opens the next
    attempt.

    Raises:
        NightAlreadyOpenError: another Airflow run holds a lease that is still good.
    """
    _ensure_audit_partitions(engine, now)
    with transaction(engine) as conn:
        _one_opener_at_a_time(conn)
        _supersede(conn, kind, airflow_run_id, now)
        if kind != "push":
            _end_expired_run(conn, now)
        run_id = _insert(
            conn, kind, "open", airflow_run_id, interval, now, zone, plan_only=plan_only
        )
        return _start_step(conn, _read(conn, run_id), PREFLIGHT, now)


def replace_attempt(conn: Connection, kind: Kind, airflow_run_id: str, *, now: datetime) -> None:
    """End earlier attempts of an Airflow run that are open or failed: this is the next one."""
    _supersede(conn, kind, airflow_run_id, now)


def night_of(end: datetime, zone: str = ZONE) -> date:
    """Return the local date that names the night whose interval ends at a moment."""
    return end.astimezone(ZoneInfo(zone)).date()


def lease_of(kind: str) -> timedelta:
    """Return how long a run of some kind may be silent before it counts as dead."""
    return PUSH_LEASE if kind == "push" else LEASE


def skip_night(
    engine: Engine,
    *,
    airflow_run_id: str,
    interval: Interval | None,
    reason: str,
    now: datetime,
    zone: str = ZONE,
) -> int:
    """Write down that a night did nothing, and why (disabled, paused); returns the run's id.

    An attempt of the same Airflow run that is open or failed becomes `superseded`.
    """
    with transaction(engine) as conn:
        _one_opener_at_a_time(conn)
        _supersede(conn, "night", airflow_run_id, now)
        return _insert(conn, "night", "skipped", airflow_run_id, interval, now, zone, reason=reason)


def bind_org(engine: Engine, run: Run, org_id: str, *, now: datetime) -> Run:
    """Name the org of a run; repeating is harmless.

    The first org that a run closed with, or wrote for, is the only one of a database. A plan, or a
    first try that failed before it wrote anything, binds nothing.

    Raises:
        WrongOrgError: the database belongs to another org. Record Ids are equal in a full-copy
            sandbox, so writing on would mix two orgs.
    """
    with transaction(engine) as conn:
        _one_opener_at_a_time(conn)
        guard(conn, run, now=now)
        require_org(conn, org_id)
        conn.execute(text(run_sql.BIND_ORG), {"org_id": org_id, "run_id": run.id})
    return replace(run, org_id=org_id)


@database_errors()
def require_org(conn: Connection, org_id: str) -> None:
    """Raise if this database belongs to another org; one without runs belongs to none.

    Raises:
        WrongOrgError: see `bind_org`.
    """
    other = conn.execute(text(run_sql.OTHER_ORG), {"org_id": org_id}).scalar()
    if other is not None:
        raise WrongOrgError(other, org_id)


def enter(engine: Engine, run_id: int, step: str, *, now: datetime) -> Run:
    """Start a step, or start it again: renews the lease, and any earlier start becomes stale.

    A step that finished is left alone and its counts are in `finished`: return them. A failed run
    is opened again, unless a later night has closed since.

    Raises:
        StaleAttemptError: a newer attempt, or a later night, has replaced this run.
        NightClosedError: the run has ended and never had this step.
        NightAlreadyOpenError: the run failed and another one holds the lease now.
    """
    with transaction(engine) as conn:
        _one_opener_at_a_time(conn)
        run = _read(conn, run_id)
        if run.state == "superseded":
            raise StaleAttemptError(f"run {run_id} was superseded by a newer attempt")
        counts = conn.execute(text(run_sql.FINISHED), {"run_id": run_id, "step": step}).scalar()
        if counts is not None:
            return replace(run, step=step, finished=counts)
        if run.state == "failed":
            _reopen(conn, run, now)
        elif run.state != "open":
            raise NightClosedError(f"run {run_id} is {run.state}: start the night from its top")
        return _start_step(conn, _read(conn, run_id), step, now)


@database_errors()
def guard(conn: Connection, run: Run, *, now: datetime) -> None:
    """Prove, inside a writing transaction, that this attempt is the current one.

    Locks the run's row until the transaction ends and renews the lease.

    Raises:
        StaleAttemptError: it is not; let the transaction roll back.
    """
    lease = {"run_id": run.id, "lease": now + lease_of(run.kind)}
    locked = conn.execute(text(run_sql.LOCK_AND_RENEW), lease).scalar()
    # A second statement on purpose: it must see what was committed while the lock was waited for.
    fence = conn.execute(text(run_sql.FENCE), {"run_id": run.id, "step": run.step}).scalar()
    if locked is None or fence != run.fence:
        raise StaleAttemptError(
            f"run {run.id}, step {run.step or '(none)'} was replaced: nothing was written"
        )


@database_errors()
def finish_step(conn: Connection, run: Run, counts: Counts, *, now: datetime) -> None:
    """Mark the step as done, in the transaction of its effect.

    Raises:
        StaleAttemptError: see `guard`.
    """
    guard(conn, run, now=now)
    values = {"run_id": run.id, "step": run.step, "now": now, "counts": json.dumps(dict(counts))}
    conn.execute(text(run_sql.FINISH), values)


@database_errors()
def mark_extraction_started(conn: Connection, run: Run, *, now: datetime) -> None:
    """Remember when the first read of this run began; later calls change nothing."""
    guard(conn, run, now=now)
    conn.execute(text(run_sql.MARK_EXTRACTION), {"run_id": run.id, "now": now})


@database_errors()
def close(
    conn: Connection, run: Run, counts: Counts, *, now: datetime, state: str = "closed"
) -> None:
    """Finish the current step and end the run; a run that only plans ends as `planned`.

    Raises:
        StaleAttemptError: see `guard`.
    """
    finish_step(conn, run, counts, now=now)
    values = {
        "run_id": run.id,
        "now": now,
        "state": "planned" if run.plan_only else state,
        "counts": json.dumps(dict(counts)),
    }
    conn.execute(text(run_sql.CLOSE), values)


def fail(engine: Engine, run_id: int, reason: str, *, now: datetime) -> None:
    """End an open run as failed and free the lease; does nothing to a run that has ended."""
    with transaction(engine) as conn:
        conn.execute(text(run_sql.FAIL), {"run_id": run_id, "reason": reason, "now": now})


def note(engine: Engine, run_id: int, reason: str | None) -> None:
    """Remember why a run that closed is red all the same, or no longer; repeating overwrites."""
    with transaction(engine) as conn:
        conn.execute(text(run_sql.NOTE), {"run_id": run_id, "reason": reason})


def find(engine: Engine, run_id: int) -> Run:
    """Read a run in whatever state, without taking part in it (`guard` refuses such a Run).

    Raises:
        UnknownRunError: there is none.
    """
    with transaction(engine) as conn:
        return _read(conn, run_id, run_sql.SELECT)


def _one_opener_at_a_time(conn: Connection) -> None:
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('opt_out_sync.open_run'))"))


def _ensure_audit_partitions(engine: Engine, now: datetime) -> None:
    """Make room for this month and the next.

    Each table is locked in a transaction of its own: one that held it while waiting for a run's
    row, or for the other table, could wait for a step that waits for it.
    """
    for table in ("merge_audit", "write_attempt"):
        with transaction(engine) as conn:
            conn.execute(text(run_sql.ENSURE_PARTITIONS), {"audited": table, "now": now})


def _supersede(conn: Connection, kind: Kind, airflow_run_id: str, now: datetime) -> None:
    values = {"kind": kind, "airflow_run_id": airflow_run_id, "now": now}
    conn.execute(text(run_sql.SUPERSEDE), values)


def _end_expired_run(conn: Connection, now: datetime) -> None:
    other = conn.execute(text(run_sql.OPEN_RUN)).mappings().one_or_none()
    if other is None:
        return
    until = f"{other['lease_expires_at']:%Y-%m-%d %H:%M:%S %Z}"
    if other["lease_expires_at"] > now:
        raise NightAlreadyOpenError(
            f"run {other['id']} of {other['airflow_run_id']} holds the lease until {until}"
        )
    values = {"run_id": other["id"], "reason": f"its lease expired at {until}", "now": now}
    conn.execute(text(run_sql.FAIL), values)


def _reopen(conn: Connection, run: Run, now: datetime) -> None:
    if run.kind != "push":
        _take_lease_again(conn, run, now)
    values = {"run_id": run.id, "lease": now + lease_of(run.kind)}
    conn.execute(text(run_sql.REOPEN), values)


def _take_lease_again(conn: Connection, run: Run, now: datetime) -> None:
    later = conn.execute(text(run_sql.CLOSED_SINCE), {"run_id": run.id}).scalar()
    if later is not None:
        raise StaleAttemptError(
            f"run {later} has closed since run {run.id} failed, so its plan is out of date: "
            "start the night from its top"
        )
    _end_expired_run(conn, now)


def _insert(
    conn: Connection,
    kind: Kind,
    state: str,
    airflow_run_id: str,
    interval: Interval | None,
    now: datetime,
    zone: str,
    *,
    plan_only: bool = False,
    reason: str | None = None,
) -> int:
    start, end = interval or (None, None)
    values = {
        "kind": kind,
        "state": state,
        "reason": reason,
        "night": night_of(end or now, zone),
        "interval_start": start,
        "interval_end": end,
        "airflow_run_id": airflow_run_id,
        "version": settings.current(conn).version,
        "plan_only": plan_only,
        "now": now,
        "lease": now + lease_of(kind),
        "closed_at": None if state == "open" else now,
    }
    run_id: int = conn.execute(text(run_sql.INSERT), values).scalar_one()
    return run_id


def _start_step(conn: Connection, run: Run, step: str, now: datetime) -> Run:
    values = {"run_id": run.id, "step": step, "now": now}
    fence: int = conn.execute(text(run_sql.START_STEP), values).scalar_one()
    started = replace(run, step=step, fence=fence)
    guard(conn, started, now=now)
    return started


def _read(conn: Connection, run_id: int, query: str = run_sql.SELECT_FOR_UPDATE) -> Run:
    row = conn.execute(text(query), {"run_id": run_id}).mappings().one_or_none()
    if row is None:
        raise UnknownRunError(f"run {run_id} does not exist")
    return _from_row(row, settings.load(conn, row["settings_version"]))


def _from_row(row: RowMapping, version: SettingsVersion) -> Run:
    values = {name: row[name] for name in run_sql.COLUMNS}
    return Run(**values, settings=version)
