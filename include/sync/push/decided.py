"""Decide some people by the rules of the night, on values read now; write down what is planned.

The plan is committed before anything is sent: a push that is killed in between leaves behind what
it may have done. See `lost`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from include.audit import decisions, links, orgs, outbox, runs, settings, writes
from include.audit.runs import Run
from include.domain import ordinary
from include.domain.aligned import NULL
from include.domain.conflicts import Judgement, Verdict
from include.domain.merge import MergeResult
from include.domain.values import Outcome, Side
from include.store import acts as store_acts
from include.store.database import transaction
from include.sync.choices import ChoicesChangedError
from include.sync.groups import Groups, Reader
from include.sync.nightly.decide import decide_for
from include.sync.nightly.inputs import choices_of, read_at, read_times
from include.sync.nightly.load import acts_of, store_outcomes, unconfirmed
from include.sync.nightly.merge import record_decided
from include.sync.nightly.results import Results, clears_of
from include.sync.nightly.steps import columns_of
from include.sync.push.choices import only_opt_outs
from include.sync.push.work import Work

NOT_CONFIRMED: Final = "ORG_NOT_CONFIRMED"
_SIDES: Final = {Side.STORE: "target_store", Side.SALESFORCE: "target_salesforce"}
_PLANNED: Final = (
    "person_id",
    "record_id",
    "object",
    "field",
    "account_id",
    "cause",
    "evidence_id",
    "salesforce_modified_at",
)


@dataclass(frozen=True, slots=True)
class Merged:
    """What was read and decided, before anything is written down.

    Attributes:
        run: whose time is that of this reading.
        groups: that were read.
        labels: by person, what names their group.
        result: of the merge.
        deferred: people whose group another push is looking at: they were left out.
    """

    run: Run
    groups: Groups
    labels: Mapping[int, str]
    result: MergeResult
    deferred: frozenset[int]


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be written now.

    Attributes:
        run: that decided.
        labels: by person, what names their group.
        opt_outs: boxes to be ticked, one row per person, record and field.
        clears: what is to be cleared, one row per person, field and side.
        accepted: judgements that become true with the clears.
        consents: what they accept.
        standing: opt-outs that the plan knew.
        may_clear: false where a person has to be asked first.
        held: groups whose clears wait, and why.
        key: names what is recorded in the store.
    """

    run: Run
    labels: Mapping[int, str]
    opt_outs: pd.DataFrame
    clears: pd.DataFrame
    accepted: pd.DataFrame
    consents: pd.DataFrame
    standing: pd.DataFrame
    may_clear: bool
    held: Mapping[str, str]
    key: str


def merge(work: Work, reader: Reader, person_ids: Collection[int]) -> Merged:
    """Read the groups of some people and decide them.

    Before anything is cleared, whoever joined a record by a merge since the last night is found.
    """
    run = replace(work.run, extraction_started_at=work.clock())
    mine, merged = {*person_ids}, _merge(work, run, reader.read(person_ids), {*person_ids})
    cleared = clears_of(merged.result.decisions)["person_id"].unique()
    if not len(cleared):
        return merged
    whole = {*reader.read_whole([int(each) for each in cleared]).people["person_id"]}
    if whole <= {*merged.groups.people["person_id"]}:
        return merged
    return _merge(work, run, reader.read({*mine, *whole}), mine)


def record(work: Work, merged: Merged, key: str) -> Decided:
    """Write the plan down, and carry out what concerns the store, in one transaction.

    Raises:
        ChoicesChangedError: somebody saved other settings meanwhile: nothing was written.
    """
    result, run = merged.result, merged.run
    clears = _planned(result.decisions, value=False)
    is_confirmed, is_held = True, False
    if _says_anything(result):
        with transaction(work.engine) as conn:
            now = work.clock()
            runs.guard(conn, run, now=now)
            require_same_choices(conn, run)
            is_confirmed = clears.empty or orgs.is_confirmed(conn, run.org)
            _, is_held = record_decided(conn, run, Results.of(result), now, may_hold=is_confirmed)
            _write_store(conn, run, result, key, now)
            if not is_confirmed:
                rows = unconfirmed(clears).assign(side=clears["side"])
                writes.record_outcomes(conn, run, columns_of(rows), now=now)
    code = Judgement.HELD.value if is_held else NOT_CONFIRMED
    may_clear = is_confirmed and not is_held
    waiting: list[int] = [] if may_clear else clears["person_id"].tolist()
    return Decided(
        run=run,
        labels=merged.labels,
        opt_outs=_planned(result.decisions, value=True, sides=(Side.SALESFORCE,)),
        clears=clears,
        accepted=result.judgements[result.judgements["verdict"] == Verdict.ACCEPTED.value],
        consents=merged.groups.resubscribes,
        standing=merged.groups.opt_outs,
        may_clear=may_clear,
        held={merged.labels[person]: code for person in waiting},
        key=key,
    )


def require_same_choices(conn: Connection, run: Run) -> None:
    """Raise if settings were saved since the run began.

    Raises:
        ChoicesChangedError: they were; the next run obeys them.
    """
    if settings.current(conn).version != run.settings.version:
        raise ChoicesChangedError("the settings were changed: the next push obeys the new ones")


def _merge(work: Work, run: Run, groups: Groups, mine: Collection[int]) -> Merged:
    labels = groups.labels()
    others = {*labels} - {*mine}
    deferred = frozenset[int]()
    if others:
        with transaction(work.engine) as conn:
            taken = {labels[each] for each in outbox.claimed_by_others(conn, run, others)}
        deferred = frozenset(person for person, label in labels.items() if label in taken)
    if deferred:
        groups = groups.without({*deferred})
    result = _ordinary(work, run, groups)
    if result is None:
        extract = groups.extract(work.access)
        times = read_times(work.engine, work.client, extract, run, work.access)
        result = decide_for(run, work.access, replace(extract, times=times))
    if not work.is_enabled:
        result = only_opt_outs(result)
    return Merged(run, groups, labels, result, deferred)


def _ordinary(work: Work, run: Run, groups: Groups) -> MergeResult | None:
    """Decide what `merge` would, in a hundredth of its time, if all of it is ordinary."""
    chosen = choices_of(run.settings.settings, work.access)
    return ordinary.merge(
        groups.people,
        groups.opt_outs,
        groups.resubscribes,
        groups.links,
        groups.records.values(),
        chosen,
        work.access.readable(chosen.fields),
    )


def _says_anything(result: MergeResult) -> bool:
    frames = (result.decisions, result.judgements, result.relinks, result.retired)
    return any(len(each) for each in (*frames, result.visibility, result.unlinked))


def _planned(
    decided: pd.DataFrame, *, value: bool, sides: Sequence[Side] = tuple(_SIDES)
) -> pd.DataFrame:
    """Return the writes of one value, one row per person, field and side."""
    at = [
        np.flatnonzero(decided[_SIDES[side]].to_numpy(np.int8, na_value=NULL) == int(value))
        for side in sides
    ]
    rows = decided[list(_PLANNED)].take(np.concatenate(at)).reset_index(drop=True)
    side_of = np.repeat([side.value for side in sides], [len(each) for each in at])
    return rows.assign(side=pd.Series(side_of, dtype="str"), target=value)


def _write_store(conn: Connection, run: Run, result: MergeResult, key: str, now: datetime) -> None:
    """Opt out in the store whom a record opts out, and name the records that live on."""
    chosen = run.settings.settings
    planned = _planned(result.decisions, value=True, sides=(Side.STORE,))
    if not planned.empty:
        acts = store_acts.record_opt_outs(
            conn,
            acts_of(planned, key=key),
            occurred_at=read_at(run),
            scopes=chosen.synced_scopes,
            with_bounces=chosen.bounces_sync,
        )
        outcomes = store_outcomes(planned, acts, Outcome.CONFIRMED)
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)
    if not result.relinks.empty:
        store_acts.relink_people(conn, result.relinks.drop(columns="code"))
    if not result.retired.empty:
        links.retire_links(conn, run, result.retired, now=now)
    reached = {*result.decisions["person_id"].tolist()} - {*result.unlinked["person_id"].tolist()}
    if reached:
        decisions.forget_unlinked(conn, run, sorted(reached), now=now)
