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
from include.sync.nightly.steps import PEOPLE, Counts, finish, require_same_org, stage_of
from include.sync.preflight import access_of


def extract_store(engine: Engine, staging: UPath, sync_run_id: int, *, clock: Clock) -> Counts:
    """Stage the opt-out state of every person, read in one snapshot."""
    run = runs.enter(engine, sync_run_id, "extract_store", now=clock())
    if run.finished is not None:
        return run.finished
    chosen, stage = run.settings.settings, stage_of(staging, run)
    counts = people.extract_people(
        engine,
        stage.prepare(PEOPLE),
        scopes=chosen.synced_scopes,
        with_bounces=chosen.bounces_sync,
    )
    stage.complete(PEOPLE, counts.people, clock())
    return finish(engine, run, asdict(counts), clock)


def extract_records(
    engine: Engine,
    client: SalesforceClient,
    staging: UPath,
    sync_run_id: int,
    obj: SalesforceObject,
    *,
    clock: Clock,
) -> Counts:
    """Stage the opt-out field of every record of one object, deleted ones included.

    An object whose field is unreadable is left out: nothing is known of it tonight.
    """
    run = runs.enter(engine, sync_run_id, f"extract_{obj.lower()}", now=clock())
    if run.finished is not None:
        return run.finished
    if not access_of(engine, run.id)[obj].readable:
        return finish(engine, run, {"unreadable": True}, clock)
    require_same_org(client, run)
    stage = stage_of(staging, run)
    rows = client.extract_records(
        obj,
        run.settings.settings.opt_out_field,
        stage.prepare(obj),
        DatabaseJobJournal(engine, run, clock),
    )
    stage.complete(obj, rows, clock())
    return finish(engine, run, {"records": rows}, clock)
