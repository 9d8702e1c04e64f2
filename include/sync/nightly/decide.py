"""Decide every link of a shard, and stage what was decided."""

import logging
from collections.abc import Collection

from sqlalchemy import Engine
from upath import UPath

from include.audit import runs
from include.audit.runs import Run
from include.domain import interval
from include.domain.aligned import give_back
from include.domain.frames import Extract
from include.domain.merge import MergeResult
from include.domain.merge import merge as decide_all
from include.salesforce.client import SalesforceClient
from include.sync.clock import Clock
from include.sync.nightly import inputs
from include.sync.nightly.results import stage_results
from include.sync.nightly.steps import Counts, finish, stage_of
from include.sync.preflight import Access, access_of
from include.sync.staging import Stage, full_disks_named

log = logging.getLogger(__name__)


@full_disks_named()
def decide(
    engine: Engine,
    client: SalesforceClient,
    staging: UPath,
    sync_run_id: int,
    shard: int,
    *,
    clock: Clock,
) -> Counts:
    """Decide every link of a shard; nothing is recorded or written yet.

    Salesforce is asked only where there is evidence to judge.

    Args:
        engine: the store.
        client: Salesforce.
        staging: where rows rest.
        sync_run_id: of the run.
        shard: from 0 to below the `shards` that `split` returned.
        clock: tells the time.
    """
    run = runs.enter(engine, sync_run_id, step_of(shard), now=clock())
    if run.finished is not None:
        return run.finished
    whole, access = stage_of(staging, run), access_of(engine, run.id)
    stage = whole.of_shard(shard, inputs.shards_of(engine, run))
    extract = inputs.complete(engine, client, stage, run, access, clock())
    give_back()  # what reading needed, before deciding needs as much
    result = of_interval(run, extract, decide_for(run, access, extract), scope_of(whole, run))
    counts = finish(engine, run, stage_results(stage, result, clock()), clock)
    log.info("Decided %d of %d links", len(result.decisions), sum(result.counts.values()))
    return counts


def step_of(shard: int) -> str:
    """Return the name of the step that decides a shard."""
    return f"decide_{shard}"


def decide_for(run: Run, access: Access, extract: Extract) -> MergeResult:
    """Merge an extract under the settings of a run."""
    chosen = inputs.choices_of(run.settings.settings, access)
    readable = access.readable(chosen.fields)
    return decide_all(extract, chosen, readable=readable, read_at=inputs.read_at(run))


def scope_of(stage: Stage, run: Run) -> set[int]:
    """Return whom the database knew to belong to the night of a replay; else nobody."""
    if run.kind != "replay" or run.interval_start is None:
        return set()
    return set(stage.read(inputs.SCOPE)["person_id"])


def of_interval(
    run: Run, extract: Extract, result: MergeResult, people: Collection[int]
) -> MergeResult:
    """Keep of a replay what its night was about; a live night is about everybody.

    Args:
        run: whose decisions these are.
        extract: what was merged.
        result: of the merge.
        people: whom the database knows to belong to the night of a replay.
    """
    if run.kind != "replay" or run.interval_start is None or run.interval_end is None:
        return result
    scope = interval.scope_of(extract, run.interval_start, run.interval_end, people)
    return interval.of_scope(extract, result, scope)
