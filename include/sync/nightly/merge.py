"""Decide every link, and record each decision with its inputs and its reason."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import decisions, held, judgements, links, past_nights, runs, writes
from include.audit.runs import Run
from include.audit.settings import Settings
from include.domain import brakes, interval, sentences
from include.domain.aligned import NULL
from include.domain.brakes import Limits
from include.domain.conflicts import Code, Judgement, Verdict
from include.domain.frames import Extract
from include.domain.merge import MergeResult
from include.domain.merge import merge as decide
from include.domain.values import Outcome, Side
from include.salesforce.client import SalesforceClient
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.nightly import inputs
from include.sync.nightly.steps import Counts, columns_of, require_same_org, stage_of
from include.sync.preflight import Access, access_of
from include.sync.staging import Stage, full_disks_named

log = logging.getLogger(__name__)

DAY = timedelta(hours=24)
RELINKS = "relinks"
RETIRED = "retired"
ACCEPTED = "accepted"


@full_disks_named()
def merge(
    engine: Engine, client: SalesforceClient, staging: UPath, sync_run_id: int, *, clock: Clock
) -> Counts:
    """Decide every link and record what changes, each decision with its inputs and its reason."""
    run = runs.enter(engine, sync_run_id, "merge", now=clock())
    if run.finished is not None:
        return run.finished
    require_same_org(client, run)
    stage, access = stage_of(staging, run), access_of(engine, run.id)
    extract = inputs.gather(engine, client, stage, run, access, clock())
    people = _people_of(engine, stage, run, clock())
    result = of_interval(run, extract, decide_for(run, access, extract), people)
    _stage_results(stage, result, clock())
    counts = record(engine, run, result, clock, may_hold=True)
    log.info("Decided %d of %d links", len(result.decisions), sum(result.counts.values()))
    return counts


def decide_for(run: Run, access: Access, extract: Extract) -> MergeResult:
    """Merge an extract under the settings of a run."""
    chosen = inputs.choices_of(run.settings.settings, access)
    readable = access.readable(chosen.fields)
    return decide(extract, chosen, readable=readable, read_at=inputs.read_at(run))


def _people_of(engine: Engine, stage: Stage, run: Run, now: datetime) -> set[int]:
    """Find whom a replay is about by what the database knows, and stage them; else nobody."""
    if run.kind != "replay" or run.interval_start is None or run.interval_end is None:
        return set()
    with transaction(engine) as conn:
        people = past_nights.people_of_interval(conn, run, run.interval_start, run.interval_end)
    stage.write(inputs.SCOPE, pd.DataFrame({"person_id": sorted(people)}, dtype="int64"), now)
    return people


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


def limits_of(settings: Settings) -> Limits:
    """Return what of the settings is normal."""
    return Limits(
        held_minimum=settings.held_clears_minimum,
        held_fraction=settings.held_clears_fraction,
        writes_minimum=settings.alert_writes_minimum,
        writes_fraction=settings.alert_writes_fraction,
        drop_fraction=settings.alert_drop_fraction,
        hidden_fraction=settings.alert_hidden_fraction,
    )


def record(
    engine: Engine, run: Run, result: MergeResult, clock: Clock, *, may_hold: bool
) -> Counts:
    """Record what was decided, in one transaction.

    Args:
        engine: the store.
        run: in its step.
        result: of the merge.
        clock: tells the time.
        may_hold: false once a person has approved the clears.
    """
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        known = links.count_links(conn, run.org)
        told, is_held = record_decided(conn, run, result, now, may_hold=may_hold)
        counts = {
            "links": result.counts,
            "decisions": told,
            "unlinked": len(result.unlinked),
            "lost": result.lost,
            "opted_out": result.opted_out,
            "known_links": known,
            "opt_outs": _opt_outs(result.decisions),
            "held": len(clears_of(result.decisions)) if is_held else 0,
            "crowded_records": len(result.crowded),
        }
        runs.finish_step(conn, run, counts, now=now)
    return counts


def record_decided(
    conn: Connection, run: Run, result: MergeResult, now: datetime, *, may_hold: bool
) -> tuple[int, bool]:
    """Record what was decided, as part of a transaction; hold the clears if they are many.

    Returns:
        How many decisions were recorded, those about people without a record included, and whether
        the clears wait for a person.
    """
    clears = clears_of(result.decisions)
    # Counted before this run adds links of its own.
    is_held = may_hold and not clears.empty and _is_held(conn, run, len(clears), now)
    decisions.record_decisions(conn, run, result.decisions, now=now)
    news = _record_observations(conn, run, result, now)
    if len(news):
        decisions.record_decisions(conn, run, unlinked_decisions(run, news), now=now)
    if not run.plan_only:
        _record_judgements(conn, run, result.judgements, is_held=is_held, now=now)
        if is_held:
            _hold(conn, run, clears, now)
    return len(result.decisions) + len(news), is_held


def _stage_results(stage: Stage, result: MergeResult, now: datetime) -> None:
    """Keep for the load what is no decision about one link."""
    accepted = result.judgements["verdict"] == Verdict.ACCEPTED.value
    stage.write(RELINKS, result.relinks, now)
    stage.write(RETIRED, result.retired, now)
    stage.write(ACCEPTED, result.judgements[accepted], now)


def clears_of(decided: pd.DataFrame) -> pd.DataFrame:
    """Return the decisions that clear something on some side."""
    targets = (decided["target_store"], decided["target_salesforce"])
    store, salesforce = (target.to_numpy(np.int8, na_value=NULL) for target in targets)
    cleared: pd.DataFrame = decided.loc[(store == 0) | (salesforce == 0)]
    return cleared


def _opt_outs(decided: pd.DataFrame) -> int:
    store, salesforce = decided["target_store"], decided["target_salesforce"]
    return int(store.fillna(False).sum()) + int(salesforce.fillna(False).sum())


def _is_held(conn: Connection, run: Run, planned: int, now: datetime) -> bool:
    known = links.count_links(conn, run.org)
    recent = writes.recent_clears(conn, run.org, now - DAY)
    return brakes.must_hold(planned, recent, known, limits_of(run.settings.settings))


def _hold(conn: Connection, run: Run, clears: pd.DataFrame, now: datetime) -> None:
    """Give every clear the outcome `held`: the night closes, a person is asked after it."""
    held.hold(conn, run, clears, now=now)
    for side, target in ((Side.STORE, "target_store"), (Side.SALESFORCE, "target_salesforce")):
        rows = clears[clears[target].notna()]
        outcomes = rows.assign(
            side=side.value,
            target=rows[target],
            outcome=Outcome.HELD.value,
            code=Judgement.HELD.value,
            fix="A person is asked after the night: DAG unsubscribe_held_clears.",
        )
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)


def _record_judgements(
    conn: Connection, run: Run, judged: pd.DataFrame, *, is_held: bool, now: datetime
) -> None:
    """Record what was refused or has to wait; what is accepted is recorded when it is cleared."""
    accepted = judged["verdict"] == Verdict.ACCEPTED.value
    rows = judged[~accepted]
    if is_held:
        waiting = judged[accepted].assign(
            verdict=Verdict.HELD.value,
            code=Judgement.HELD.value,
            reason=sentences.HELD,
        )
        rows = pd.concat([rows, waiting], ignore_index=True)
    judgements.record_judgements(conn, run, rows, now=now)


def _record_observations(
    conn: Connection, run: Run, result: MergeResult, now: datetime
) -> pd.DataFrame:
    """Remember which records came and went and who cannot be reached; return who is news.

    A plan-only night tells the same news and remembers nothing, so the real one tells them again.
    """
    if run.kind == "push" and result.visibility.empty and result.unlinked.empty:
        return result.unlinked
    with conn.begin_nested() as savepoint:
        links.record_visibility(conn, run, result.visibility, now=now)
        is_complete = Code.UNREADABLE_FIELD not in result.counts and run.kind == "night"
        news = decisions.record_unlinked(
            conn, run, result.unlinked, now=now, is_complete=is_complete
        )
        if run.plan_only:
            savepoint.rollback()
    return news[~news["person_id"].isin(result.decisions["person_id"])]


def unlinked_decisions(run: Run, unlinked: pd.DataFrame) -> pd.DataFrame:
    """Return what the audit says of people whose opt-out cannot reach Salesforce.

    Args:
        run: whose decisions these are.
        unlinked: one row per person: `person_id`, `code`.
    """
    return pd.DataFrame(
        {
            "person_id": unlinked["person_id"],
            "rule": run.settings.settings.conflict_rule,
            "code": unlinked["code"],
            "reason": sentences.explain_unlinked(unlinked["code"]),
        }
    )
