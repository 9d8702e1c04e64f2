"""Write what was decided: opt-outs to the store, then to Salesforce."""

from collections.abc import Iterator
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, Engine

from include.audit import runs, writes
from include.audit.jobs import DatabaseJobJournal
from include.audit.runs import Run
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.salesforce.client import SalesforceClient
from include.store import people
from include.store.database import transaction
from include.sync.choices import require_unchanged
from include.sync.clock import Clock
from include.sync.nightly.steps import (
    Counts,
    columns_of,
    count_outcomes,
    finish,
    mark,
    record_outcomes,
    require_same_org,
)
from include.sync.preflight import access_of


def load_store(engine: Engine, sync_run_id: int, *, clock: Clock) -> Counts:
    """Record an unsubscribe for everyone whom Salesforce has opted out and the store has not."""
    run = runs.enter(engine, sync_run_id, "load_store", now=clock())
    if run.finished is not None:
        return run.finished
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        planned = _planned(conn, run, Side.STORE)
        _may_write(conn, run, planned)
        acts = people.record_opt_outs(conn, _acts(run, planned), occurred_at=_seen_at(run))
        outcomes = _store_outcomes(planned, acts)
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)
        counts = count_outcomes(outcomes)
        runs.finish_step(conn, run, counts, now=now)
    return counts


def _planned(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Return what is still to be written; a plan-only night writes nothing."""
    pending = writes.pending_writes(conn, run, side)
    return pending.iloc[:0] if run.plan_only else pending


def _may_write(conn: Connection, run: Run, planned: pd.DataFrame) -> None:
    if not planned.empty:
        require_unchanged(conn, run)


def _acts(run: Run, planned: pd.DataFrame) -> pd.DataFrame:
    """Describe one act per person; its key makes a repeated load add nothing."""
    key = f"opt-out-sync/{run.id}/" + planned["person_id"].astype("str")
    return pd.DataFrame(
        {"person_id": planned["person_id"], "caused_by": planned["cause"], "idempotency_key": key}
    )


def _seen_at(run: Run) -> datetime:
    """Salesforce dates the record, not the field: an opt-out is as old as we first saw it."""
    return run.extraction_started_at or run.started_at


def _store_outcomes(planned: pd.DataFrame, acts: pd.DataFrame) -> pd.DataFrame:
    """A person deleted since they were read needs no opt-out any more."""
    outcomes = planned.merge(acts, on="person_id", validate="1:1")
    is_gone = outcomes["act_id"].isna() & ~outcomes["already_opted_out"].astype(bool)
    applied = pd.Series(Outcome.APPLIED.value, index=outcomes.index, dtype="str")
    return outcomes.assign(
        side=Side.STORE.value, outcome=applied.mask(is_gone, Outcome.SUPERSEDED.value)
    )


def load_salesforce(
    engine: Engine, client: SalesforceClient, sync_run_id: int, *, clock: Clock
) -> Counts:
    """Set the opt-out field of every record whose person is opted out in the store.

    Outcomes are recorded as they become known, so a killed load resumes with what is left.
    Rejected rows do not stop the load: they are outcomes, and `report` counts them.
    """
    run = runs.enter(engine, sync_run_id, "load_salesforce", now=clock())
    if run.finished is not None:
        return run.finished
    with transaction(engine) as conn:
        planned = _planned(conn, run, Side.SALESFORCE)
    require_same_org(client, run)
    access = access_of(engine, run.id)
    for obj in SalesforceObject:
        rows = planned[planned["object"] == obj.value]
        if rows.empty:
            continue
        if access[obj].updateable:
            _write_flags(engine, client, run, obj, rows, clock)
        else:
            record_outcomes(engine, run, _read_only(rows), clock)
    with transaction(engine) as conn:
        counts = count_outcomes(writes.rows_with_outcome(conn, run, Side.SALESFORCE))
    return finish(engine, run, counts, clock)


def _write_flags(
    engine: Engine,
    client: SalesforceClient,
    run: Run,
    obj: SalesforceObject,
    rows: pd.DataFrame,
    clock: Clock,
) -> None:
    """Write and record; what may succeed a moment later (a locked record) is tried once more."""
    again = []
    for outcomes in _written(engine, client, run, obj, rows, clock):
        is_passing = outcomes["failure_class"] == FailureClass.RETRY.value
        record_outcomes(engine, run, outcomes[~is_passing], clock)
        again.append(outcomes.loc[is_passing, rows.columns])
    left = pd.concat(again, ignore_index=True)
    if not left.empty:
        for outcomes in _written(engine, client, run, obj, left, clock):
            record_outcomes(engine, run, outcomes, clock)


def _written(
    engine: Engine,
    client: SalesforceClient,
    run: Run,
    obj: SalesforceObject,
    rows: pd.DataFrame,
    clock: Clock,
) -> Iterator[pd.DataFrame]:
    """Send and yield outcomes, one row per person; nothing is sent once the sync is off."""
    chosen = run.settings.settings
    results = client.write_flags(
        obj,
        chosen.opt_out_field,
        rows["record_id"].drop_duplicates().tolist(),
        True,
        DatabaseJobJournal(engine, run, clock),
        bulk_threshold=chosen.bulk_threshold,
    )
    while True:
        with transaction(engine) as conn:
            require_unchanged(conn, run)
        result = next(results, None)
        if result is None:
            return
        yield _salesforce_outcomes(rows, result)


def _salesforce_outcomes(rows: pd.DataFrame, result: pd.DataFrame) -> pd.DataFrame:
    """Give every person of a record the outcome of that record."""
    outcomes = rows.merge(result, on="record_id", validate="m:1")
    outcome = outcomes["succeeded"].map({True: Outcome.APPLIED.value, False: Outcome.FAILED.value})
    return outcomes.assign(side=Side.SALESFORCE.value, outcome=outcome)


def _read_only(rows: pd.DataFrame) -> pd.DataFrame:
    every = pd.Series(True, index=rows.index)
    return mark(
        rows.assign(side=Side.SALESFORCE.value),
        every,
        FailureClass.PERMISSION,
        "READ_ONLY_FIELD",
        "Give the integration user edit access to the opt-out field (field-level security of a "
        "permission set); the next night tries again.",
    )
