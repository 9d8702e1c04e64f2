"""What the steps of a night share."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from sqlalchemy import Engine
from upath import UPath

from include.audit import runs, writes
from include.audit.runs import Run, WrongOrgError
from include.domain.values import FailureClass, Outcome
from include.salesforce.client import SalesforceClient
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.staging import Stage

Counts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Again:
    """How rows that a lock kept away are tried again within the night, before the next one does.

    Somebody saves a record, or recalculates an Account, for seconds; a data load holds it longer.

    Attributes:
        pauses: seconds before each further try, of all such rows together.
        sleep: waits.
    """

    pauses: tuple[float, ...] = (2.0, 10.0, 30.0)
    sleep: Callable[[float], object] = time.sleep


PATIENT: Final = Again()


def stage_of(staging: UPath, run: Run) -> Stage:
    """Return the staged files of this run."""
    return Stage(staging, run.night, run.id)


def require_same_org(client: SalesforceClient, run: Run) -> None:
    """Raise if the Connection leads elsewhere than preflight saw: Ids of a sandbox are the same.

    Raises:
        WrongOrgError: it was changed since; the run may have been cleared from here days later.
    """
    found = client.organization_id()
    if found != run.org:
        raise WrongOrgError(run.org, found)


def record_outcomes(engine: Engine, run: Run, outcomes: pd.DataFrame, clock: Clock) -> None:
    """Record outcomes in a transaction of their own, as they become known."""
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)


def finish(engine: Engine, run: Run, counts: Counts, clock: Clock) -> Counts:
    """Declare a step finished whose effect is outside the database. Returns its counts."""
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        runs.finish_step(conn, run, counts, now=now)
    return counts


def columns_of(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that the audit records."""
    return outcomes[[name for name in writes.OUTCOMES.names if name in outcomes]]


def count_outcomes(outcomes: pd.DataFrame) -> Counts:
    """Count rows by outcome."""
    return {str(name): int(count) for name, count in outcomes["outcome"].value_counts().items()}


def mark(
    outcomes: pd.DataFrame, failed: pd.Series, kind: FailureClass, code: str, fix: str
) -> pd.DataFrame:
    """Mark some rows failed in the same way and the others applied."""
    where = failed.astype(bool)
    applied = pd.Series(Outcome.APPLIED.value, index=outcomes.index, dtype="str")
    nothing = pd.Series(None, index=outcomes.index, dtype="str")
    return outcomes.assign(
        outcome=applied.mask(where, Outcome.FAILED.value),
        failure_class=nothing.mask(where, kind.value),
        code=nothing.mask(where, code),
        fix=nothing.mask(where, fix),
    )
