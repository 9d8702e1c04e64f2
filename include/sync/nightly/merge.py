"""Decide every link, and record each decision with its inputs and its reason."""

import logging
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import decisions, links, runs
from include.audit.runs import Run
from include.domain import frames, sentences
from include.domain.conflicts import Code, ConflictRule
from include.domain.merge import MergeResult
from include.domain.merge import merge as decide
from include.domain.values import SalesforceObject
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.nightly.steps import PEOPLE, Counts, stage_of
from include.sync.preflight import access_of
from include.sync.staging import Stage

log = logging.getLogger(__name__)


def merge(engine: Engine, staging: UPath, sync_run_id: int, *, clock: Clock) -> Counts:
    """Decide every link and record what changes, each decision with its inputs and its reason."""
    run = runs.enter(engine, sync_run_id, "merge", now=clock())
    if run.finished is not None:
        return run.finished
    result = _decide(engine, staging, run)
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        decisions.record_decisions(conn, run, result.decisions, now=now)
        news = _record_observations(conn, run, result, now)
        decisions.record_decisions(conn, run, _unlinked_decisions(news), now=now)
        counts = {
            "links": result.counts,
            "decisions": len(result.decisions) + len(news),
            "unlinked": len(result.unlinked),
            "lost": result.lost,
        }
        runs.finish_step(conn, run, counts, now=now)
    log.info("Decided %d of %d links", len(result.decisions), sum(result.counts.values()))
    return counts


def _decide(engine: Engine, staging: UPath, run: Run) -> MergeResult:
    stage, field = stage_of(staging, run), run.settings.settings.opt_out_field
    access = access_of(engine, run.id)
    readable = [obj for obj, found in access.items() if found.readable]
    return decide(
        frames.People.validate(stage.read(PEOPLE)),
        _read_records(stage, readable),
        frames.Links.validate(links.read_links(engine, run.org, field)),
        readable=readable,
        field=field,
    )


def _read_records(stage: Stage, readable: list[SalesforceObject]) -> pd.DataFrame:
    staged = [stage.read(obj) for obj in readable]
    if not staged:
        return frames.empty(frames.Records)
    return frames.Records.validate(pd.concat(staged, ignore_index=True))


def _record_observations(
    conn: Connection, run: Run, result: MergeResult, now: datetime
) -> pd.DataFrame:
    """Remember which records came and went and who cannot be reached; return who is news.

    A plan-only night tells the same news and remembers nothing, so the real one tells them again.
    """
    with conn.begin_nested() as savepoint:
        links.record_visibility(conn, run, result.visibility, now=now)
        is_complete = Code.UNREADABLE_FIELD not in result.counts
        news = decisions.record_unlinked(
            conn, run, result.unlinked, now=now, is_complete=is_complete
        )
        if run.plan_only:
            savepoint.rollback()
    return news[~news["person_id"].isin(result.decisions["person_id"])]


def _unlinked_decisions(unlinked: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_id": unlinked["person_id"],
            "rule": ConflictRule.OPT_OUT_WINS.value,
            "code": unlinked["code"],
            "reason": sentences.explain_unlinked(unlinked["code"]),
        }
    )
