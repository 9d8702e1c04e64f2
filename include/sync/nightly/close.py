"""Close the night: every planned write has an outcome, and the bases move."""

from datetime import datetime

from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import links, retention, runs, writes
from include.audit.runs import Run
from include.domain.errors import PermanentSyncError
from include.domain.values import Side
from include.store.database import transaction
from include.sync import staging as stages
from include.sync.clock import Clock
from include.sync.nightly.steps import Counts


class OpenWritesError(PermanentSyncError):
    """A night cannot close while a planned write has no outcome or was not read back."""


def close(engine: Engine, staging: UPath, sync_run_id: int, *, clock: Clock) -> Counts:
    """Close the night: every planned write has an outcome, and the bases move.

    Raises:
        OpenWritesError: a planned write has no outcome, or was not read back: a step was skipped.
    """
    run = runs.enter(engine, sync_run_id, "close", now=clock())
    if run.finished is not None:
        return run.finished
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        moved = 0 if run.plan_only else _move_bases(conn, run, now)
        counts = {"bases_moved": moved}
        runs.close(conn, run, counts, now=now)
    stages.expire(staging, run.night)
    if run.kind == "night" and not run.plan_only:
        retention.thin_tonight(engine, by=f"night {run.id}", now=clock())
    return counts


def _move_bases(conn: Connection, run: Run, now: datetime) -> int:
    missing = sum(len(writes.pending_writes(conn, run, side)) for side in Side)
    if missing:
        raise OpenWritesError(
            f"{missing} planned writes have no outcome: clear load.store or load.salesforce of "
            "this run, then close it again"
        )
    unverified = sum(len(writes.applied(conn, run, side)) for side in Side)
    if unverified:
        raise OpenWritesError(
            f"{unverified} writes were not read back: clear verify of this run, then close it again"
        )
    moved = links.move_bases(conn, run, now=now)  # makes new links known: they are counted, too
    if run.kind == "night":  # a replay is no further night that somebody undid
        links.count_flips(conn, run, now=now)
    return moved
