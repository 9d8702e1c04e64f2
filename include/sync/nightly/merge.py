"""Record what was decided, each decision with its inputs and its reason, in one transaction."""

import logging
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import attempts, decisions, held, judgements, links, runs, writes
from include.audit.runs import Run
from include.audit.settings import Settings
from include.domain import brakes, sentences
from include.domain.brakes import Limits
from include.domain.conflicts import Code, Judgement, Verdict
from include.domain.errors import PermanentSyncError
from include.domain.values import Outcome, Side
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.nightly import inputs
from include.sync.nightly.decide import step_of
from include.sync.nightly.results import ACCEPTED, RELINKS, RETIRED, Results
from include.sync.nightly.steps import Counts, columns_of, stage_of
from include.sync.staging import Stage, full_disks_named

log = logging.getLogger(__name__)

DAY: Final = timedelta(hours=24)


class ShardNotDecidedError(PermanentSyncError):
    """A shard was not decided: clear its task first."""


@full_disks_named()
def merge(engine: Engine, staging: UPath, sync_run_id: int, *, clock: Clock) -> Counts:
    """Record what the shards decided, all of it or nothing, and what is to be loaded.

    Raises:
        ShardNotDecidedError: one of them is missing; nothing is recorded.
    """
    run = runs.enter(engine, sync_run_id, "merge", now=clock())
    if run.finished is not None:
        return run.finished
    stage = stage_of(staging, run)
    results = _results(engine, stage, run)
    _stage_for_load(stage, results, clock())
    counts = record(engine, run, results, clock, may_hold=True)
    log.info(
        "Recorded %d decisions of %d links", counts["decisions"], sum(counts["links"].values())
    )
    return counts


def _results(engine: Engine, stage: Stage, run: Run) -> Results:
    """Read what every shard decided."""
    shards = inputs.shards_of(engine, run)
    counts = [attempts.step_counts(engine, run.id, step_of(n)) for n in range(shards)]
    decided = [each for each in counts if each is not None]
    if len(decided) < shards:
        missing = ", ".join(str(n) for n, each in enumerate(counts) if each is None)
        raise ShardNotDecidedError(
            f"run {run.id}: shard {missing} of {shards} is not decided; clear that task of decide"
        )
    return Results.staged([stage.of_shard(n, shards) for n in range(shards)], decided)


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


def record(engine: Engine, run: Run, results: Results, clock: Clock, *, may_hold: bool) -> Counts:
    """Record what was decided, in one transaction.

    Args:
        engine: the store.
        run: in its step.
        results: of the merge.
        clock: tells the time.
        may_hold: false once a person has approved the clears.
    """
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        known = links.count_links(conn, run.org)
        told, is_held = record_decided(conn, run, results, now, may_hold=may_hold)
        counts = {
            **results.counts,
            "decisions": told,
            "unlinked": len(results.unlinked),
            "known_links": known,
            "held": len(results.clears) if is_held else 0,
        }
        runs.finish_step(conn, run, counts, now=now)
    return counts


def record_decided(
    conn: Connection, run: Run, results: Results, now: datetime, *, may_hold: bool
) -> tuple[int, bool]:
    """Record what was decided, as part of a transaction; hold the clears if they are many.

    Returns:
        How many decisions were recorded, those about people without a record included, and whether
        the clears wait for a person.
    """
    clears = results.clears
    # Counted before this run adds links of its own.
    is_held = may_hold and not clears.empty and _is_held(conn, run, len(clears), now)
    for part in results.decisions:
        decisions.record_decisions(conn, run, part, now=now)
    news = _record_observations(conn, run, results, now)
    if len(news):
        decisions.record_decisions(conn, run, unlinked_decisions(run, news), now=now)
    if not run.plan_only:
        _record_judgements(conn, run, results.judgements, is_held=is_held, now=now)
        if is_held:
            _hold(conn, run, clears, now)
    return int(results.counts["decisions"]) + len(news), is_held


def _stage_for_load(stage: Stage, results: Results, now: datetime) -> None:
    """Keep for the load what is no decision about one link."""
    accepted = results.judgements["verdict"] == Verdict.ACCEPTED.value
    stage.write(RELINKS, results.relinks, now)
    stage.write(RETIRED, results.retired, now)
    stage.write(ACCEPTED, results.judgements[accepted], now)


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
    conn: Connection, run: Run, results: Results, now: datetime
) -> pd.DataFrame:
    """Remember which records came and went and who cannot be reached; return who is news.

    A plan-only night tells the same news and remembers nothing, so the real one tells them again.
    """
    unlinked = results.unlinked.drop(columns="is_decided")
    if run.kind == "push" and results.visibility.empty and unlinked.empty:
        return unlinked
    with conn.begin_nested() as savepoint:
        links.record_visibility(conn, run, results.visibility, now=now)
        is_complete = Code.UNREADABLE_FIELD not in results.counts["links"] and run.kind == "night"
        news = decisions.record_unlinked(conn, run, unlinked, now=now, is_complete=is_complete)
        if run.plan_only:
            savepoint.rollback()
    decided = results.unlinked.loc[results.unlinked["is_decided"].astype(bool), "person_id"]
    return news[~news["person_id"].isin(decided)]


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
