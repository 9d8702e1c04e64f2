"""What a merge decides by: staged, so that it can be explained later."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
from sqlalchemy import Engine

from include.audit import attempts, judgements, links, writes
from include.audit.runs import Run
from include.audit.settings import Settings
from include.domain import frames
from include.domain.aligned import bools
from include.domain.conflicts import Choices, ConflictRule
from include.domain.frames import BOOLEAN, Extract
from include.domain.merge import records_in_question
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.store.database import transaction
from include.sync.nightly.steps import require_same_org
from include.sync.preflight import Access
from include.sync.staging import Stage

PEOPLE: Final = "people"
OPT_OUTS: Final = "opt_outs"
RESUBSCRIBES: Final = "resubscribes"
LINKS: Final = "links"
TIMES: Final = "times"
UNJUDGED: Final = "unjudged"
SCOPE: Final = "scope"


def choices_of(settings: Settings, access: Access) -> Choices:
    """Return what of the settings a merge depends on.

    Where Salesforce's clock is behind, a time of it may be later than it says, by that much.
    """
    return Choices(
        fields=settings.opt_out_fields,
        rule=ConflictRule(settings.conflict_rule),
        scopes=tuple(settings.synced_scopes),
        bounces=settings.bounces_sync,
        clock_skew=timedelta(seconds=settings.clock_skew_seconds) + access.clock_behind,
        evidence_waits=timedelta(days=settings.evidence_days),
    )


def gather(
    engine: Engine,
    client: SalesforceClient,
    stage: Stage,
    run: Run,
    access: Access,
    now: datetime,
    *,
    person_ids: Collection[int],
) -> Extract:
    """Complete what is staged of some people by what earlier runs know; stage that, too.

    Args:
        engine: the store.
        client: Salesforce.
        stage: where both sides rest.
        run: whose decisions these are.
        access: what can be read.
        now: when.
        person_ids: whom the staged files are about.
    """
    stage_unjudged(engine, stage, now)
    known = links.read_links(engine, run.org, None, person_ids=person_ids)
    stage.write(LINKS, typed(frames.Links, known), now)
    return complete(engine, client, stage, run, access, now)


def stage_unjudged(engine: Engine, stage: Stage, now: datetime) -> int:
    """Stage which of the staged resubscribes are still to be judged, and return how many."""
    with transaction(engine) as conn:
        judged = judgements.judged_before(conn)
    unjudged = to_judge(stage.read(RESUBSCRIBES), judged)
    stage.write(UNJUDGED, unjudged, now)
    return len(unjudged)


def complete(
    engine: Engine, client: SalesforceClient, stage: Stage, run: Run, access: Access, now: datetime
) -> Extract:
    """Return what is staged with the times that evidence needs; they are read now, and staged.

    Without evidence nothing is read, and Salesforce is not asked.
    """
    extract = _load(stage, access, frames.empty(frames.Times))
    if bools(extract.resubscribes["is_evidence"]).any():
        require_same_org(client, run)
    times = read_times(engine, client, extract, run, access)
    stage.write(TIMES, times, now)
    return replace(extract, times=times)


def load_extract(stage: Stage, access: Access) -> Extract:
    """Return what the merge of a night, or of one shard of it, decided by, as it was staged.

    Raises:
        StagingIncompleteError: the files are gone (kept 14 days), or the merge did not happen.
    """
    return _load(stage, access, typed(frames.Times, stage.read(TIMES)))


def load_extracts(engine: Engine, stage: Stage, run: Run, access: Access) -> Iterator[Extract]:
    """Return what each shard of a night decided by, one at a time: together it is everybody.

    Raises:
        StagingIncompleteError: as for `load_extract`.
    """
    for number in range(shards := shards_of(engine, run)):
        yield load_extract(stage.of_shard(number, shards), access)


def shards_of(engine: Engine, run: Run) -> int:
    """Return into how many shards a run was split."""
    split = attempts.step_counts(engine, run.id, "split") or {}
    return int(split.get("shards", 1))  # other kinds of runs, and older ones, are not split


def _load(stage: Stage, access: Access, times: pd.DataFrame) -> Extract:
    return Extract(
        people=stage.read(PEOPLE),
        opt_outs=stage.read(OPT_OUTS),
        resubscribes=stage.read(UNJUDGED),
        records=_records(stage, access),
        links=typed(frames.Links, stage.read(LINKS)),
        times=times,
    )


def read_times(
    engine: Engine, client: SalesforceClient, extract: Extract, run: Run, access: Access
) -> pd.DataFrame:
    """Date the opt-outs that evidence is compared with, where Salesforce or our audit knows.

    Returns:
        A `frames.Times`: empty unless there is evidence to judge.
    """
    chosen = choices_of(run.settings.settings, access)
    asked = records_in_question(
        extract, chosen, readable=access.readable(chosen.fields), read_at=read_at(run)
    )
    if asked.empty:
        return frames.empty(frames.Times)
    history, user = _history(client, asked, access), client.user_id()
    is_ours = history["by"] == user
    by_us = _modified_by(extract, asked["record_id"], user)
    ours = _own_writes(engine, run, access, by_us, history[is_ours])
    times = pd.concat([history[~is_ours], ours, history[is_ours]], ignore_index=True)
    # A colleague's tick is theirs, whoever edited the record since. What we wrote is dated by the
    # act it carried: history only shows when we wrote it.
    times = times.drop_duplicates(["record_id", "field"], ignore_index=True)
    return typed(frames.Times, times)


def read_at(run: Run) -> datetime:
    """Return when the reading of a run began: no value that it saw is from later."""
    return run.extraction_started_at or run.started_at


def _history(client: SalesforceClient, asked: pd.DataFrame, access: Access) -> pd.DataFrame:
    """Read the newest change of each field, where that was to "opted out"."""
    changes = [
        client.read_history(
            obj,
            list(access.fields),
            asked.loc[asked["object"] == obj.value, "record_id"].tolist(),
            person_accounts=access.person_accounts,
        )
        for obj in SalesforceObject
    ]
    history = pd.concat(changes, ignore_index=True)
    return history[history["is_opted_out"].astype(bool)]


def _own_writes(
    engine: Engine, run: Run, access: Access, by_us: list[str], history: pd.DataFrame
) -> pd.DataFrame:
    """Date the boxes that we ticked last.

    Those of records that we were the last to modify, and those of which history says so.
    """
    record_ids = [*by_us, *history["record_id"]]
    found = writes.own_writes(engine, run.org, record_ids, access.fields)
    said = pd.MultiIndex.from_frame(history[["record_id", "field"]])
    is_said = pd.MultiIndex.from_frame(found[["record_id", "field"]]).isin(said)
    return found[found["record_id"].isin(by_us) | is_said].rename(columns={"act_at": "at"})


def _modified_by(extract: Extract, record_ids: pd.Series, user: str) -> list[str]:
    """Return which of some records a user was the last to modify."""
    modified_by = extract.records.set_index("record_id")["last_modified_by"].reindex(record_ids)
    return [str(record_id) for record_id in modified_by[modified_by == user].index]


def to_judge(resubscribes: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Leave out what was refused before, and tell what was held: a `frames.Resubscribes`."""
    if resubscribes.empty:
        return resubscribes.assign(was_held=pd.Series(dtype=BOOLEAN))
    refused = judged.loc[judged["is_refused"], "act_id"]
    held = judged.loc[judged["was_held"], "act_id"]
    left = resubscribes[~resubscribes["act_id"].isin(refused).to_numpy(bool)]
    was_held = left["act_id"].isin(held).astype(BOOLEAN)
    return left.assign(was_held=was_held).reset_index(drop=True)


def _records(stage: Stage, access: Access) -> pd.DataFrame:
    """Read the records of every object on which some field can be read."""
    staged = [stage.read(obj) for obj in SalesforceObject if access.fields_of(obj)]
    return joined(staged, access)


def joined(parts: Iterable[pd.DataFrame], access: Access) -> pd.DataFrame:
    """Return the records of several objects as one `frames.Records`, with every field's column."""
    columns = list(frames.Records.to_schema().columns)
    records = pd.concat([frames.empty(frames.Records), *parts], ignore_index=True)
    for field in access.fields:
        if field not in records:
            records[field] = pd.Series(index=records.index, dtype=BOOLEAN)
        records[field] = records[field].astype(BOOLEAN)
    return records[[*columns, *access.fields]]


def typed(model: type[frames.Links] | type[frames.Times], frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a contract in its types."""
    types = frames.empty(model).dtypes
    return pd.DataFrame(
        {
            name: frame[name].astype(kind) if name in frame else pd.Series(dtype=kind)
            for name, kind in types.items()
        }
    ).reset_index(drop=True)
