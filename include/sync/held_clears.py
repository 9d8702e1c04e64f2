"""Clears that wait for a person: ask, and do what the answer says.

A night that would clear more than is normal holds all its clears. They are rows, the night closes,
and a person is asked afterwards. Approved, the clears are decided again on what both sides say
then, and carried out like those of a night. Rejected, the consent behind them is refused.
Unanswered, everything stays as it is and the next night asks again.

An answer is about what was held when the question was asked: whatever a later night holds waits
for its own question.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import pandas as pd
from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import held, judgements, orgs, questions, runs, settings, writes
from include.audit.held import Resolution
from include.audit.runs import Run
from include.domain import sentences
from include.domain.conflicts import Judgement, Verdict
from include.domain.errors import PermanentSyncError
from include.domain.values import Outcome, Side
from include.salesforce.client import SalesforceClient
from include.store.database import transaction
from include.sync import nightly
from include.sync.clock import Clock
from include.sync.held_decision import decide_again
from include.sync.nightly.merge import record
from include.sync.nightly.results import Results
from include.sync.nightly.steps import Counts, require_same_org, stage_of
from include.sync.preflight import Trigger, access_of, preflight

log = logging.getLogger(__name__)

KIND: Final = "held_clears"
SAMPLE: Final = 20
"""How many persons a question names, by id."""


class SwitchedOffError(PermanentSyncError):
    """Clears were approved while the sync is switched off: nothing is written."""


class ClearsFailedError(PermanentSyncError):
    """Some of the approved clears were not carried out: each is listed with its fix."""


def waiting(engine: Engine, *, clock: Clock) -> dict[str, Any] | None:
    """Describe what a person is to be asked about; None if nobody needs to be asked.

    Nobody is asked while the answer could have no effect: the sync is switched off, or its org is
    not confirmed.

    Returns:
        `asked_at` (ISO, UTC), `clears` (how many), `people` (how many), `codes` (clears by code)
        and `sample` (the first ids of people). No address, and nothing that a person typed.
    """
    with transaction(engine) as conn:
        asked_at, org = clock(), questions.waiting_org(conn)
        if org is None:
            log.info("No clear waits for a person")
            return None
        in_the_way = obstacle(conn, org)
        rows = _asked(conn, org, asked_at)
    if in_the_way:
        log.warning("%d clears wait, and nobody is asked: %s", len(rows), in_the_way)
        return None
    persons = rows["person_id"].drop_duplicates()
    counted = rows["code"].fillna("UNKNOWN").value_counts()
    return {
        "asked_at": asked_at.isoformat(),
        "clears": len(rows),
        "people": len(persons),
        "codes": {str(code): int(count) for code, count in counted.sort_index().items()},
        "sample": [int(person) for person in persons.head(SAMPLE)],
    }


def reject(engine: Engine, airflow_run_id: str, *, asked_at: datetime, clock: Clock) -> Counts:
    """Refuse the consent behind everything that was asked about; the opt-outs stay.

    Repeating it refuses nothing more.
    """
    return _resolve(engine, airflow_run_id, "rejected", asked_at, _refuse, clock)


def time_out(engine: Engine, airflow_run_id: str, *, asked_at: datetime, clock: Clock) -> Counts:
    """Note that nobody answered; the next night holds the same clears again and asks again.

    What a night has held again already, while this question was open, is asked about next.
    """
    return _resolve(engine, airflow_run_id, "timed_out", asked_at, _hold_again, clock)


def decide(
    engine: Engine,
    client: SalesforceClient,
    staging: UPath,
    airflow_run_id: str,
    *,
    asked_at: datetime,
    clock: Clock,
) -> int:
    """Open a run and decide the approved clears again, on values read now; return the run's id.

    Repeating it for the same Airflow run opens the next attempt, which decides what is left.

    Raises:
        SwitchedOffError: the sync is disabled or paused.
        OptOutSyncError: as `preflight`.
    """
    with transaction(engine) as conn:
        off = _switched_off(conn)
    if off:
        raise SwitchedOffError(
            f"{off}: nothing is cleared; switch it on, then clear decide of this run, or let the "
            "next night ask again"
        )
    trigger = Trigger(airflow_run_id, None, plan_only=False, kind=KIND)
    opened: list[int] = []
    sync_run_id = preflight(engine, client, trigger, clock=clock, announce=opened.append)
    if sync_run_id is None:
        raise SwitchedOffError("the sync was switched off just now: nothing is cleared")
    with _freeing_the_lease(engine, sync_run_id, clock):
        _decide(engine, client, staging, sync_run_id, asked_at, clock)
    return sync_run_id


def clear(
    engine: Engine, client: SalesforceClient, staging: UPath, sync_run_id: int, *, clock: Clock
) -> Counts:
    """Carry out what was decided, as a night does: one record at a time, while it is still true."""
    with _freeing_the_lease(engine, sync_run_id, clock):
        return nightly.load_clears(engine, client, staging, sync_run_id, clock=clock)


def verify(engine: Engine, client: SalesforceClient, sync_run_id: int, *, clock: Clock) -> Counts:
    """Read back what was cleared."""
    with _freeing_the_lease(engine, sync_run_id, clock):
        return nightly.verify(engine, client, sync_run_id, clock=clock)


def close(
    engine: Engine, staging: UPath, sync_run_id: int, *, asked_at: datetime, clock: Clock
) -> Counts:
    """Close the run: what was asked about and not cleared is superseded, and the bases move.

    Raises:
        ClearsFailedError: closed, with more failed writes than the settings allow.
        OpenWritesError: a planned write has no outcome, or was not read back.
    """
    with _freeing_the_lease(engine, sync_run_id, clock):
        superseded = _supersede(engine, sync_run_id, asked_at, clock)
        counts = nightly.close(engine, staging, sync_run_id, clock=clock)
    _require_few_failures(engine, sync_run_id)
    return {**counts, "superseded": superseded}


def obstacle(conn: Connection, org: str) -> str | None:
    """Say why nobody is asked about held clears at the moment; None: nothing is in the way."""
    if not orgs.is_confirmed(conn, org):
        return f"Salesforce org {org} is not confirmed"
    return _switched_off(conn)


def _switched_off(conn: Connection) -> str | None:
    chosen = settings.current(conn).settings
    if not chosen.enabled:
        return "the sync is disabled"
    return "the sync is paused" if chosen.paused else None


def _asked(conn: Connection, org: str, asked_at: datetime) -> pd.DataFrame:
    """Return what waits of that which a question asked about."""
    rows = held.open_held(conn, org)
    return rows[rows["held_at"] <= pd.Timestamp(asked_at)].reset_index(drop=True)


def _resolve(
    engine: Engine,
    airflow_run_id: str,
    resolution: Resolution,
    asked_at: datetime,
    follow_up: Callable[[Connection, Run, pd.DataFrame, datetime], Counts],
    clock: Clock,
) -> Counts:
    """Resolve what was asked about, in a run of its own and one transaction."""
    with transaction(engine) as conn:
        org = questions.waiting_org(conn)
    if org is None:
        log.info("No clear waits for a person any more")
        return {resolution: 0}
    run = runs.open_run(
        engine,
        kind=KIND,
        airflow_run_id=airflow_run_id,
        interval=None,
        plan_only=False,
        now=clock(),
    )
    with _freeing_the_lease(engine, run.id, clock):
        run = runs.bind_org(engine, run, org, now=clock())
        with transaction(engine) as conn:
            now = clock()
            runs.guard(conn, run, now=now)
            rows = _asked(conn, org, asked_at)
            consent = _consent(conn, org, rows)
            resolved = held.resolve(conn, run, rows, resolution, now=now)
            counts = {resolution: resolved, **follow_up(conn, run, consent, now)}
            runs.close(conn, run, counts, now=now)
    log.warning("Held clears %s: %s", resolution, counts)
    return counts


def _consent(conn: Connection, org: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the consent that waits with some held clears."""
    waits = questions.held_evidence(conn, org)
    named = waits["act_id"].isin(rows["evidence_id"].dropna())
    return waits[named | waits["person_id"].isin(rows["person_id"])]


def _refuse(conn: Connection, run: Run, consent: pd.DataFrame, now: datetime) -> Counts:
    refused = consent.assign(
        verdict=Verdict.REFUSED.value, code=Judgement.REJECTED.value, reason=sentences.REJECTED
    )
    return {"refused": judgements.record_judgements(conn, run, refused, now=now)}


def _hold_again(conn: Connection, run: Run, consent: pd.DataFrame, now: datetime) -> Counts:
    return {"held_again": questions.hold_again(conn, run, now=now)}


def _decide(
    engine: Engine,
    client: SalesforceClient,
    staging: UPath,
    sync_run_id: int,
    asked_at: datetime,
    clock: Clock,
) -> None:
    run = runs.enter(engine, sync_run_id, "merge", now=clock())
    require_same_org(client, run)
    with transaction(engine) as conn:
        person_ids = _asked(conn, run.org, asked_at)["person_id"].unique().tolist()
    access = access_of(engine, run.id)
    stage = stage_of(staging, run)
    result = decide_again(engine, client, stage, run, access, person_ids, clock=clock)
    record(engine, run, Results.of(result), clock, may_hold=False)
    log.info("Decided the clears of %d people again", len(person_ids))


def _supersede(engine: Engine, sync_run_id: int, asked_at: datetime, clock: Clock) -> int:
    """Resolve what the approval did not lead to: it is not true any more, or not now."""
    run = runs.enter(engine, sync_run_id, "supersede", now=clock())
    if run.finished is not None:
        return int(run.finished["superseded"])
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        left = _asked(conn, run.org, asked_at)
        count = held.resolve(conn, run, left, "superseded", now=now)
        runs.finish_step(conn, run, {"superseded": count}, now=now)
    return count


def _require_few_failures(engine: Engine, sync_run_id: int) -> None:
    run = runs.find(engine, sync_run_id)
    with transaction(engine) as conn:
        done = [writes.rows_with_outcome(conn, run, side) for side in Side]
    outcomes = pd.concat(done, ignore_index=True)["outcome"]
    failed = int((outcomes == Outcome.FAILED.value).sum())
    if failed > run.settings.settings.max_open_failures:
        raise ClearsFailedError(
            f"{failed} of {len(outcomes)} approved writes failed: opt_out_sync.v_open_failures "
            "lists each with its fix; the next night tries them again"
        )


@contextmanager
def _freeing_the_lease(engine: Engine, sync_run_id: int, clock: Clock) -> Iterator[None]:
    """Let no night wait for a run that a person must look at first; the step may be cleared."""
    try:
        yield
    except PermanentSyncError as error:
        runs.fail(engine, sync_run_id, str(error), now=clock())
        raise
