"""Write what was decided: opt-outs to the store, then to Salesforce."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import links, orgs, runs, writes
from include.audit.jobs import DatabaseJobJournal
from include.audit.runs import Run
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.salesforce.client import SalesforceClient
from include.salesforce.jobs import JobJournal
from include.store import acts as store_acts
from include.store.database import transaction
from include.sync.choices import require_unchanged
from include.sync.clock import Clock
from include.sync.nightly.inputs import read_at
from include.sync.nightly.results import RELINKS, RETIRED
from include.sync.nightly.steps import (
    PATIENT,
    Again,
    Counts,
    columns_of,
    count_outcomes,
    finish,
    mark,
    record_outcomes,
    require_same_org,
    stage_of,
)
from include.sync.preflight import access_of

log = logging.getLogger(__name__)


def load_store(engine: Engine, staging: UPath, sync_run_id: int, *, clock: Clock) -> Counts:
    """Opt out in the store whoever is opted out in Salesforce, and name the records that live on.

    A record that lives on as another one changes the person's Id, after its opt-out has joined.
    """
    run = runs.enter(engine, sync_run_id, "load_store", now=clock())
    if run.finished is not None:
        return run.finished
    stage, chosen = stage_of(staging, run), run.settings.settings
    relinks, retired = stage.read(RELINKS), stage.read(RETIRED)
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        planned = _planned(conn, run, Side.STORE)
        _may_write(conn, run, planned, relinks)
        acts = store_acts.record_opt_outs(
            conn,
            acts_of(planned, key=f"opt-out-sync/{run.id}"),
            occurred_at=read_at(run),
            scopes=chosen.synced_scopes,
            with_bounces=chosen.bounces_sync,
        )
        outcomes = store_outcomes(planned, acts)
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)
        counts = count_outcomes(outcomes)
        if not run.plan_only:
            relinked = store_acts.relink_people(conn, relinks.drop(columns="code"))
            links.retire_links(conn, run, retired, now=now)
            counts["relinked"] = int(relinked["is_relinked"].sum())
        runs.finish_step(conn, run, counts, now=now)
    return counts


def _planned(conn: Connection, run: Run, side: Side) -> pd.DataFrame:
    """Return the opt-outs that are still to be written; a plan-only night writes nothing."""
    pending = writes.pending_writes(conn, run, side, value=True)
    return pending.iloc[:0] if run.plan_only else pending


def _may_write(conn: Connection, run: Run, planned: pd.DataFrame, relinks: pd.DataFrame) -> None:
    if not (planned.empty and relinks.empty) and not run.plan_only:
        require_unchanged(conn, run)


def acts_of(planned: pd.DataFrame, *, key: str) -> pd.DataFrame:
    """Describe one act per person; its key makes a repeated load add nothing."""
    return pd.DataFrame(
        {
            "person_id": planned["person_id"],
            "caused_by": planned["cause"],
            "idempotency_key": f"{key}/" + planned["person_id"].astype("str"),
        }
    )


def store_outcomes(
    planned: pd.DataFrame, acts: pd.DataFrame, done: Outcome = Outcome.APPLIED
) -> pd.DataFrame:
    """A person deleted since they were read needs no opt-out any more."""
    outcomes = planned.merge(acts, on="person_id", validate="1:1")
    is_gone = outcomes["act_id"].isna() & ~outcomes["already_opted_out"].astype(bool)
    applied = pd.Series(done.value, index=outcomes.index, dtype="str")
    return outcomes.assign(
        side=Side.STORE.value, outcome=applied.mask(is_gone, Outcome.SUPERSEDED.value)
    )


def load_salesforce(
    engine: Engine,
    client: SalesforceClient,
    sync_run_id: int,
    *,
    clock: Clock,
    again: Again = PATIENT,
) -> Counts:
    """Set the opt-out fields of every record whose group is opted out.

    Outcomes are recorded as they become known, so a killed load resumes with what is left.
    Rejected rows do not stop the load: they are outcomes, and `report` counts them. What a lock
    kept away is tried again first.
    Until an admin has confirmed the org, Salesforce is only planned.
    """
    run = runs.enter(engine, sync_run_id, "load_salesforce", now=clock())
    if run.finished is not None:
        return run.finished
    with transaction(engine) as conn:
        planned = _planned(conn, run, Side.SALESFORCE)
        is_confirmed = orgs.is_confirmed(conn, run.org)
    if not planned.empty:  # else no request is made, not even a login
        require_same_org(client, run)
    if not is_confirmed:
        record_outcomes(engine, run, unconfirmed(planned), clock)
        planned = planned.iloc[:0]
    access = access_of(engine, run.id)
    for (field, obj), rows in planned.groupby(["field", "object"]):
        target = Target(SalesforceObject(str(obj)), str(field))
        if access.fields[target.field][target.obj].updateable:
            _write_flags(engine, client, run, target, rows, clock, again)
        else:
            record_outcomes(engine, run, read_only(rows), clock)
    with transaction(engine) as conn:
        counts = count_outcomes(writes.rows_with_outcome(conn, run, Side.SALESFORCE))
    return finish(engine, run, counts, clock)


@dataclass(frozen=True, slots=True)
class Target:
    """What is written: a field of an object."""

    obj: SalesforceObject
    field: str


def _write_flags(
    engine: Engine,
    client: SalesforceClient,
    run: Run,
    target: Target,
    rows: pd.DataFrame,
    clock: Clock,
    again: Again,
) -> None:
    """Write and record; what may succeed a moment later (a locked record) is tried again."""
    left = rows
    for pause in (*again.pauses, None):
        passing = [rows.iloc[:0]]
        for outcomes in _written(engine, client, run, target, left, clock):
            is_passing = outcomes["failure_class"] == FailureClass.RETRY.value
            is_passing &= pause is not None
            record_outcomes(engine, run, outcomes[~is_passing], clock)
            passing.append(outcomes.loc[is_passing, rows.columns])
        left = pd.concat(passing, ignore_index=True)
        if left.empty or pause is None:
            return
        log.info("%d rows were locked: they are tried again in %g seconds", len(left), pause)
        again.sleep(pause)


def _written(
    engine: Engine,
    client: SalesforceClient,
    run: Run,
    target: Target,
    rows: pd.DataFrame,
    clock: Clock,
) -> Iterator[pd.DataFrame]:
    """Send and yield outcomes, one row per person; nothing is sent once the sync is off."""
    results = opt_out_records(
        client,
        target,
        rows,
        DatabaseJobJournal(engine, run, clock),
        bulk_threshold=run.settings.settings.bulk_threshold,
    )
    while True:
        with transaction(engine) as conn:
            require_unchanged(conn, run)
        result = next(results, None)
        if result is None:
            return
        yield salesforce_outcomes(rows, result)


def opt_out_records(
    client: SalesforceClient,
    target: Target,
    rows: pd.DataFrame,
    jobs: JobJournal,
    *,
    bulk_threshold: int,
) -> Iterator[pd.DataFrame]:
    """Set a field of records to opted out; of a person account on its Account.

    Args:
        client: of the org.
        target: the field.
        rows: one row per person and record: `record_id`, `account_id` (null: no person account).
        jobs: learns of Bulk jobs.
        bulk_threshold: more records than this go by Bulk jobs.

    Returns:
        The frames of `SalesforceClient.write_flags`.
    """
    records = rows.drop_duplicates("record_id")
    is_account = records["account_id"].notna().to_numpy(bool)
    plain = records.loc[~is_account, "record_id"].tolist()
    if plain:
        yield from client.write_flags(
            target.obj, target.field, plain, jobs, bulk_threshold=bulk_threshold
        )
    if is_account.any():
        yield from client.write_person_accounts(
            target.field,
            records.loc[is_account, ["record_id", "account_id"]],
            jobs,
            bulk_threshold=bulk_threshold,
        )


def salesforce_outcomes(rows: pd.DataFrame, result: pd.DataFrame) -> pd.DataFrame:
    """Give every person of a record the outcome of that record."""
    outcomes = rows.merge(result, on="record_id", validate="m:1")
    outcome = outcomes["succeeded"].map({True: Outcome.APPLIED.value, False: Outcome.FAILED.value})
    return outcomes.assign(side=Side.SALESFORCE.value, outcome=outcome)


def read_only(rows: pd.DataFrame) -> pd.DataFrame:
    """Fail the writes to a field that we may read and not write."""
    every = pd.Series(True, index=rows.index)
    return mark(
        rows.assign(side=Side.SALESFORCE.value),
        every,
        FailureClass.PERMISSION,
        "READ_ONLY_FIELD",
        "Give the integration user edit access to the opt-out field (field-level security of a "
        "permission set); the next night tries again.",
    )


def unconfirmed(rows: pd.DataFrame) -> pd.DataFrame:
    """Hold what would be written to an org that no admin has confirmed yet."""
    return rows.assign(
        side=Side.SALESFORCE.value,
        outcome=Outcome.HELD.value,
        code="ORG_NOT_CONFIRMED",
        fix="First night of this org: look at the plan, then confirm the org: "
        "python -m include.cli org confirm ORG --by NAME --note WHY.",
    )
