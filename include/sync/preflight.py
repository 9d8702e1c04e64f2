"""Before a night: may it run, against which org, and what can be read and written there?

Preflight takes the lease, so at most one night is open at a time. It stops a night only for what
makes every step useless; a field hidden on one object costs that object, not the night.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine

from include.audit import attempts, runs, settings
from include.audit.runs import Run
from include.domain.errors import OptOutSyncError, PermanentSyncError, TransientSyncError
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.describe import FieldAccess
from include.store.database import transaction
from include.sync.clock import Clock

log = logging.getLogger(__name__)

PARAMETERS: Final = frozenset({"plan_only"})
_SETTINGS = "python -m include.cli settings set"


class UnknownParameterError(PermanentSyncError):
    """The run was started with a parameter that does not exist."""


class NoApiBudgetError(TransientSyncError):
    """Salesforce's daily API requests are nearly used up: they refill over 24 hours."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What started a night.

    Attributes:
        airflow_run_id: names the run in Airflow; a repeated run is the next attempt.
        interval: the data interval that names the night; None for a run started by hand.
        plan_only: decide and explain, write nothing.
    """

    airflow_run_id: str
    interval: tuple[datetime, datetime] | None
    plan_only: bool


def preflight(
    engine: Engine,
    client: SalesforceClient,
    trigger: Trigger,
    *,
    clock: Clock,
    announce: Callable[[int], object],
) -> int | None:
    """Open a night and return its run id, or None while the sync is switched off.

    Repeating it for the same Airflow run supersedes the earlier attempt.

    Args:
        engine: the store.
        client: Salesforce; not asked while the sync is switched off.
        trigger: what started the night.
        clock: tells the time.
        announce: is told the attempt's id as soon as there is one, also of an attempt that then
            fails or does nothing: `report` reports on that one, never on an earlier one.

    Raises:
        NightAlreadyOpenError: another Airflow run is in the middle of a night.
        LoginError, SalesforceUnavailableError: Salesforce cannot be reached.
        WrongOrgError: this database belongs to another Salesforce org.
        NoApiBudgetError: fewer API requests are left than the reserve in the settings.
    """
    reason = _switched_off(engine)
    if reason is not None:
        skipped = runs.skip_night(
            engine,
            airflow_run_id=trigger.airflow_run_id,
            interval=trigger.interval,
            reason=reason,
            now=clock(),
        )
        announce(skipped)
        log.warning("Nothing is synced: %s", reason)
        return None
    run = runs.open_night(
        engine,
        airflow_run_id=trigger.airflow_run_id,
        interval=trigger.interval,
        plan_only=trigger.plan_only,
        now=clock(),
    )
    announce(run.id)
    try:
        return _check(engine, client, run, clock)
    except OptOutSyncError as error:
        runs.fail(engine, run.id, str(error), now=clock())
        raise


def require_known(parameters: Collection[str]) -> None:
    """Raise if a run has a parameter that nobody reads: a misspelt `plan_only` must not write.

    Raises:
        UnknownParameterError: naming it.
    """
    unknown = sorted(set(parameters) - PARAMETERS)
    if unknown:
        raise UnknownParameterError(
            f"unknown parameter {', '.join(unknown)}: a night knows {', '.join(sorted(PARAMETERS))}"
        )


def access_of(engine: Engine, sync_run_id: int) -> dict[SalesforceObject, FieldAccess]:
    """Return what preflight found readable and updateable, by object."""
    counts = attempts.step_counts(engine, sync_run_id, runs.PREFLIGHT) or {}
    found: dict[str, Any] = counts["access"]
    return {SalesforceObject(obj): FieldAccess(**access) for obj, access in found.items()}


def _switched_off(engine: Engine) -> str | None:
    with transaction(engine) as conn:
        current = settings.current(conn).settings
    if not current.enabled:
        return f"the sync is disabled; enable it with: {_SETTINGS} --enable --by NAME --note WHY"
    if current.paused:
        return f"the sync is paused; resume it with: {_SETTINGS} --resume --by NAME --note WHY"
    return None


def _check(engine: Engine, client: SalesforceClient, run: Run, clock: Clock) -> int:
    run = runs.bind_org(engine, run, client.organization_id(), now=clock())
    remaining = _check_budget(client, run.settings.settings.api_reserve)
    field = run.settings.settings.opt_out_field
    access = {obj: client.field_access(obj, field) for obj in SalesforceObject}
    for obj, found in access.items():
        _tell(obj, field, found)
    counts = {
        "access": {obj.value: asdict(found) for obj, found in access.items()},
        "api_requests_remaining": remaining,
    }
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        runs.mark_extraction_started(conn, run, now=now)
        runs.finish_step(conn, run, counts, now=now)
    return run.id


def _check_budget(client: SalesforceClient, reserve: int) -> int:
    remaining = client.api_budget().remaining
    if remaining < reserve:
        raise NoApiBudgetError(
            f"Salesforce allows {remaining} more API requests today, the settings keep {reserve} "
            "in reserve: wait until they refill, or lower api_reserve"
        )
    return remaining


def _tell(obj: SalesforceObject, field: str, access: FieldAccess) -> None:
    if not access.readable:
        log.warning("Field %s of %s cannot be read: this object is left out", field, obj)
    elif not access.updateable:
        log.warning("Field %s of %s cannot be written: writes to it will wait", field, obj)
