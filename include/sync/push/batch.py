"""One batch: some people are looked at, decided, written and settled.

Nothing is remembered between batches. Killed anywhere, the same people are looked at again, and
what is true then is done: whatever was sent is there already, and is not sent again.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from include.audit import links, outbox, runs, writes
from include.domain.errors import TransientSyncError
from include.domain.values import Outcome, Side
from include.store.database import transaction
from include.sync.groups import Reader
from include.sync.nightly.steps import columns_of
from include.sync.push import settling
from include.sync.push.choices import worth_reading
from include.sync.push.decided import Decided, Merged, merge, record
from include.sync.push.lost import settle_lost
from include.sync.push.settling import Looked, Settled
from include.sync.push.trouble import PASSING, failure_of
from include.sync.push.work import Work
from include.sync.push.writing import Written, carry_out


@dataclass(frozen=True, slots=True)
class Done:
    """What a batch did.

    Attributes:
        people: how many were looked at.
        pushed: boxes that were ticked.
        cleared: boxes that were cleared.
        failed: people who could not be settled, by failure class.
        interrupted: why the batch ended early; None: it did not.
    """

    people: int = 0
    pushed: int = 0
    cleared: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    interrupted: TransientSyncError | None = None


Pausing = Callable[[TransientSyncError], datetime]


def push_batch(work: Work, claimed: pd.DataFrame, claim: int, *, pause: Pausing) -> Done:
    """Look at claimed people, write what is to be written, and settle them.

    Args:
        work: what to work with.
        claimed: as `outbox.claim` returns them.
        claim: its number.
        pause: is told of what concerns everybody; says until when nothing should be tried.

    Raises:
        PermanentSyncError: a person must look; nobody of the batch is settled.
        StoreUnavailableError: the database was lost; whether the batch was settled is not known.
    """
    person_ids = [int(each) for each in claimed["person_id"]]
    try:
        settle_lost(work, person_ids)
        merged = merge(work, _reader(work), person_ids)
    except PASSING as error:
        return _put_off(work, claimed, error, pause(error))
    decided = record(work, merged, f"opt-out-sync/{work.run.id}/{claim}")
    written = carry_out(work, decided)
    until = None if written.interrupted is None else pause(written.interrupted)
    return _settle(work, claimed, merged, decided, written, until)


def _reader(work: Work) -> Reader:
    chosen = work.run.settings.settings
    return Reader(work.engine, work.client, work.run.org, work.access, worth_reading(chosen))


def _put_off(work: Work, claimed: pd.DataFrame, error: TransientSyncError, until: datetime) -> Done:
    """Let everybody wait: nothing could be read, so nothing was decided."""
    labels = {int(person): "" for person in claimed["person_id"]}
    looked = Looked(labels, failures={"": failure_of(error)})
    settled = settling.settle(
        claimed, looked, now=work.clock(), not_before=until, spread=work.spread
    )
    with transaction(work.engine) as conn:
        outbox.settle(conn, work.run, _frame(settled), now=work.clock())
    return Done(len(settled), failed=_failed(settled), interrupted=error)


def _settle(
    work: Work,
    claimed: pd.DataFrame,
    merged: Merged,
    decided: Decided,
    written: Written,
    until: datetime | None,
) -> Done:
    """Record outcomes, move bases and settle the outbox, in one transaction."""
    looked = _looked(work, claimed, merged, decided, written)
    gone = [int(p) for p in claimed["person_id"] if int(p) not in looked.labels]
    now = work.clock()
    settled = settling.settle(
        claimed[~claimed["person_id"].isin(gone)],
        looked,
        now=now,
        not_before=until,
        spread=work.spread,
    )
    with transaction(work.engine) as conn:
        runs.guard(conn, decided.run, now=now)
        if not written.outcomes.empty:
            writes.record_outcomes(conn, decided.run, columns_of(written.outcomes), now=now)
        concerned = merged.result.decisions["person_id"].unique()
        if len(concerned):
            links.move_bases(conn, decided.run, now=now, person_ids=concerned)
        outbox.settle(conn, decided.run, _frame(settled), now=now)
        if gone:
            outbox.forget(conn, decided.run, gone, now=now)
    everything = written.everything
    return Done(
        people=len(claimed),
        pushed=_records(everything, value=True),
        cleared=_records(everything, value=False),
        failed=_failed(settled),
        interrupted=written.interrupted,
    )


def _looked(
    work: Work, claimed: pd.DataFrame, merged: Merged, decided: Decided, written: Written
) -> Looked:
    """Gather what was found and done, in the words of `settling`."""
    result, labels = merged.result, merged.labels
    in_store = merged.groups.everybody
    done = written.everything
    everybody = {person: labels.get(person, f"person {person}") for person in in_store}
    unread = {p for p, label in labels.items() if work.is_unreadable(label)}
    return Looked(
        labels=everybody,
        codes=settling.by_person(result.decisions, "code"),
        unlinked=settling.by_person(result.unlinked, "code"),
        unreadable=frozenset(unread),
        unjudged=settling.unjudged_of(result.judgements),
        deferred=merged.deferred,
        not_synced=in_store - {*labels},
        failures={**settling.failures_of(done, labels), **written.left},
        superseded=settling.groups_with(done, labels, Outcome.SUPERSEDED),
        held=decided.held,
        pushed=settling.groups_with(done, labels, Outcome.CONFIRMED, Side.SALESFORCE),
    )


def _frame(settled: list[Settled]) -> pd.DataFrame:
    columns = dict(zip(Settled._fields, zip(*settled, strict=True), strict=False))
    due = pd.Series(columns.get("next_attempt_at", ()), dtype="datetime64[us, UTC]")
    return pd.DataFrame({name: columns.get(name, ()) for name in Settled._fields}).assign(
        next_attempt_at=due
    )


def _failed(settled: list[Settled]) -> Counter[str]:
    return Counter(each.failure_class for each in settled if each.failure_class is not None)


def _records(outcomes: pd.DataFrame, *, value: bool) -> int:
    """Count the boxes of Salesforce that were written."""
    names = ("outcome", "target", "side", "record_id", "field")
    written = zip(*(outcomes[name].tolist() for name in names), strict=True)
    wanted = (Outcome.CONFIRMED.value, value, Side.SALESFORCE.value)
    return len({row[3:] for row in written if row[:3] == wanted})
