"""Carry out what a push decided: opt-outs first, then clears; an accepted write counts as seen.

Reading back costs a request per write and, within a second, tells what Salesforce has just said.
The night reads everything anyway.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.audit import writes
from include.domain.errors import TransientSyncError
from include.domain.values import Outcome, Side
from include.store.database import transaction
from include.sync.nightly.clears import Clear, Worker, clears_of
from include.sync.nightly.load import read_only
from include.sync.push.decided import Decided
from include.sync.push.settling import PUSHED, Failure
from include.sync.push.trouble import PASSING, failure_of
from include.sync.push.work import Work


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the writes of a push.

    Attributes:
        outcomes: one row per write that is not recorded yet: columns of `writes.OUTCOMES`.
        recorded: the same, of those that are.
        interrupted: why the rest was not tried; None: everything was.
        left: groups that were not tried.
    """

    outcomes: pd.DataFrame
    recorded: pd.DataFrame
    interrupted: TransientSyncError | None
    left: Mapping[str, Failure]

    @property
    def everything(self) -> pd.DataFrame:
        """Return both, in one frame."""
        if self.recorded.empty:
            return self.outcomes
        return pd.concat([self.outcomes, self.recorded], ignore_index=True)


def carry_out(work: Work, decided: Decided) -> Written:
    """Write what was decided, in Salesforce; the store was written with the decision.

    An interruption (Salesforce is down) ends it: what was written stands, the rest waits.
    """
    parts: list[pd.DataFrame] = []
    try:
        parts.extend(_opt_outs(work, decided))
    except PASSING as error:
        return _interrupted(work, decided, parts, error)
    recorded, interrupted, left = _clears(work, decided)
    return _written(parts, recorded, interrupted, left)


def _interrupted(
    work: Work, decided: Decided, parts: list[pd.DataFrame], error: TransientSyncError
) -> Written:
    """Tell of the rest that it was not written.

    What is in doubt has no outcome yet: the next attempt looks at the record. See `lost`.
    """
    answered = {record_id for part in parts for record_id in part["record_id"]}
    in_doubt: frozenset[str] = getattr(error, "in_doubt", frozenset())
    left = decided.opt_outs[~decided.opt_outs["record_id"].isin(answered)]
    failure = failure_of(error)
    not_sent = left[~left["record_id"].isin(in_doubt)].assign(
        side=Side.SALESFORCE.value,
        outcome=Outcome.FAILED.value,
        failure_class=failure.failure_class.value,
        code=failure.code,
        fix=failure.fix,
    )
    waiting = _clears_of(decided) if decided.may_clear else ()
    doubtful = {decided.labels[int(person)]: failure for person in left["person_id"]}
    return _written(
        [*parts, not_sent],
        work.nothing_written(),
        error,
        doubtful | _left(waiting, decided, error),
    )


def _written(
    parts: list[pd.DataFrame],
    recorded: pd.DataFrame,
    interrupted: TransientSyncError | None,
    left: Mapping[str, Failure],
) -> Written:
    columns = [*writes.OUTCOMES.names]
    joined = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return Written(joined.reindex(columns=columns), recorded, interrupted, left)


def _opt_outs(work: Work, decided: Decided) -> Iterator[pd.DataFrame]:
    """Send the opt-outs and yield their outcomes, one row per person, record and field."""
    rows = decided.opt_outs
    if rows.empty:
        return
    writable = work.writable(rows)
    if not writable.all():
        yield read_only(rows[~writable])
    rows = rows[writable]
    if rows.empty:
        return
    for result in work.client.opt_out(_records(rows)):
        yield _outcomes(rows, result)


def _outcomes(rows: pd.DataFrame, result: pd.DataFrame) -> pd.DataFrame:
    """Give every person of a record the outcome of that record; what was accepted is confirmed."""
    at = pd.Index(result["record_id"]).get_indexer(pd.Index(rows["record_id"]))
    sent, told = rows[at >= 0], result.take(at[at >= 0])
    is_done = told["succeeded"].to_numpy(bool)
    outcome = np.where(is_done, Outcome.CONFIRMED.value, Outcome.FAILED.value)
    outcomes: pd.DataFrame = sent.assign(
        side=Side.SALESFORCE.value,
        outcome=pd.array(outcome, dtype="str"),
        failure_class=told["failure_class"].array,
        code=pd.array(np.where(is_done, PUSHED, told["code"].to_numpy(object)), dtype="str"),
        fix=told["fix"].array,
        job_id=told["job_id"].array,
    )
    return outcomes


def _records(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per record, with all fields that are to be set."""
    named = zip(rows["record_id"].tolist(), rows["field"].tolist(), strict=True)
    fields: dict[str, set[str]] = {}
    for record_id, field in named:
        fields.setdefault(record_id, set()).add(field)
    first = rows.loc[~rows["record_id"].duplicated(), ["record_id", "object", "account_id"]]
    named_once = [tuple(sorted(of)) for of in fields.values()]
    return first.assign(fields=pd.Series(named_once, first.index))


def _clears(
    work: Work, decided: Decided
) -> tuple[pd.DataFrame, TransientSyncError | None, Mapping[str, Failure]]:
    """Clear one record after the other, as a night does; what became of it is recorded there."""
    if not decided.may_clear or (decided.clears.empty and decided.accepted.empty):
        return work.nothing_written(), None, {}
    worker = Worker(
        work.engine, work.client, decided.run, work.clock, done=Outcome.CONFIRMED, code=PUSHED
    )
    waiting = deque(_clears_of(decided))
    interrupted = None
    while waiting and interrupted is None:
        try:
            worker.carry_out(waiting[0])
            waiting.popleft()
        except PASSING as error:
            interrupted = error
    with transaction(work.engine) as conn:
        recorded = writes.newest_outcomes(conn, decided.run, decided.clears["person_id"].unique())
    return recorded, interrupted, _left(waiting, decided, interrupted)


def _clears_of(decided: Decided) -> Iterator[Clear]:
    return clears_of(
        decided.run,
        decided.clears,
        decided.accepted,
        decided.consents,
        decided.standing,
        key=decided.key,
    )


def _left(
    waiting: Iterable[Clear], decided: Decided, error: TransientSyncError | None
) -> dict[str, Failure]:
    """Return the groups of clears that were not tried, or not answered, and why."""
    if error is None:
        return {}
    persons = {
        int(person)
        for clear in waiting
        for person in (*clear.rows["person_id"], *clear.acts["person_id"])
    }
    return {decided.labels[person]: failure_of(error) for person in persons}
