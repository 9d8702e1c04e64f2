"""What a push can read and write: as the last run found it, so that it need not ask each time.

Describing an object takes a request and, in a large org, half a second. Access changes rarely, and
where it was taken away since, Salesforce says so when it is used.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from include.audit import attempts, runs
from include.audit.runs import Run
from include.domain.errors import OptOutSyncError
from include.salesforce.client import SalesforceClient
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.preflight import (
    Access,
    access_counts,
    access_in,
    fields_of_interest,
    find_access,
)
from include.sync.push.choices import as_pushed

_KEPT: Final = timedelta(hours=26)  # from one night to the next


def known_access(engine: Engine, run: Run, *, now: datetime) -> Access | None:
    """Return what an earlier run found, unless it is old, incomplete or forbids something.

    What was forbidden is asked again each time: somebody may have mended it.
    """
    found = attempts.last_access(engine, run.org)
    if found is None or now - datetime.fromisoformat(found["access_read_at"]) > _KEPT:
        return None
    access = access_in(found)
    if not {*run.settings.settings.opt_out_fields} <= {*access.fields}:
        return None
    return access if access.is_complete else None


def describe_access(engine: Engine, client: SalesforceClient, run: Run, clock: Clock) -> Access:
    """Ask Salesforce."""
    chosen = run.settings.settings.opt_out_fields
    return find_access(client, fields_of_interest(engine, run, chosen), clock)


def open_push(
    engine: Engine, client: SalesforceClient, airflow_run_id: str, *, clock: Clock
) -> tuple[Run, Access]:
    """Open a run of the push against the org that this database belongs to.

    Raises:
        WrongOrgError: the Connection leads to another org.
        LoginError, SalesforceUnavailableError: Salesforce cannot be reached.
    """
    run = runs.open_run(
        engine,
        kind="push",
        airflow_run_id=airflow_run_id,
        interval=None,
        plan_only=False,
        now=clock(),
    )
    try:
        run = runs.bind_org(engine, run, client.organization_id(), now=clock())
        access = _noted(engine, client, as_pushed(run), clock)
    except OptOutSyncError as error:
        runs.fail(engine, run.id, str(error), now=clock())
        raise
    return as_pushed(runs.enter(engine, run.id, "push", now=clock())), access


def _noted(engine: Engine, client: SalesforceClient, run: Run, clock: Clock) -> Access:
    """Write down what a run can read and write, for it and for the next one."""
    access = known_access(engine, run, now=clock()) or describe_access(engine, client, run, clock)
    now = clock()
    read_at = access.read_at or now
    with transaction(engine) as conn:
        runs.finish_step(conn, run, access_counts(access, read_at), now=now)
    return replace(access, read_at=read_at)
