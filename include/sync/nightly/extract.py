"""Read both sides completely, into staged files."""

from dataclasses import asdict

from sqlalchemy import Engine
from upath import UPath

from include.audit import runs
from include.audit.jobs import DatabaseJobJournal
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.store import people
from include.sync.clock import Clock
from include.sync.nightly.inputs import OPT_OUTS, PEOPLE, RESUBSCRIBES
from include.sync.nightly.steps import Counts, finish, require_same_org, stage_of
from include.sync.preflight import access_of
from include.sync.staging import full_disks_named


@full_disks_named()
def extract_store(engine: Engine, staging: UPath, sync_run_id: int, *, clock: Clock) -> Counts:
    """Stage everybody, what holds them opted out and what may end it, read in one snapshot."""
    run = runs.enter(engine, sync_run_id, "extract_store", now=clock())
    if run.finished is not None:
        return run.finished
    chosen, stage = run.settings.settings, stage_of(staging, run)
    counts = people.extract_people(
        engine,
        people=stage.prepare(PEOPLE),
        opt_outs=stage.prepare(OPT_OUTS),
        resubscribes=stage.prepare(RESUBSCRIBES),
        scopes=chosen.synced_scopes,
        with_bounces=chosen.bounces_sync,
    )
    now = clock()
    stage.complete(PEOPLE, counts.people, now)
    stage.complete(OPT_OUTS, counts.opt_outs, now)
    stage.complete(RESUBSCRIBES, counts.resubscribes, now)
    return finish(engine, run, asdict(counts), clock)


@full_disks_named()
def extract_records(
    engine: Engine,
    client: SalesforceClient,
    staging: UPath,
    sync_run_id: int,
    obj: SalesforceObject,
    *,
    clock: Clock,
) -> Counts:
    """Stage the opt-out fields of every record of one object, deleted ones included.

    An object none of whose fields is readable is left out: nothing is known of it tonight.
    """
    run = runs.enter(engine, sync_run_id, f"extract_{obj.lower()}", now=clock())
    if run.finished is not None:
        return run.finished
    access = access_of(engine, run.id)
    fields = access.fields_of(obj)
    if not fields:
        return finish(engine, run, {"unreadable": True}, clock)
    require_same_org(client, run)
    stage = stage_of(staging, run)
    rows = client.extract_records(
        obj,
        fields,
        stage.prepare(obj),
        DatabaseJobJournal(engine, run, clock),
        person_accounts=access.person_accounts,
    )
    stage.complete(obj, rows, clock())
    return finish(engine, run, {"records": rows}, clock)
