"""Does the kept extract of a night still give the decisions that it recorded?

Pure but for reading: nothing is written, neither side is asked. What it compares is what the merge
decided; what became of it afterwards stands in the audit only.
"""

import csv
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute
from sqlalchemy import Engine
from upath import UPath

from include.audit import attempts, decisions, runs
from include.audit.decisions import DECISIONS
from include.audit.runs import Run
from include.domain.errors import PermanentSyncError
from include.domain.merge import MergeResult
from include.store.bulk import to_arrow
from include.sync.nightly import inputs
from include.sync.nightly.decide import decide_for, of_interval, scope_of
from include.sync.nightly.merge import unlinked_decisions
from include.sync.nightly.steps import stage_of
from include.sync.preflight import access_of
from include.sync.staging import KEEP, Stage, StagingIncompleteError


class CannotReproduceError(PermanentSyncError):
    """The run decided nothing, or what it decided by is not kept any more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first decision, by person, record and field, that is not the same.

    Attributes:
        person_id: whom it is about.
        differing: how many rows of both sides have no equal on the other.
        recorded: by column what the audit says, where that differs; empty: no such decision.
        again: by column what the extract gives; empty: no such decision.
    """

    person_id: int
    differing: int
    recorded: dict[str, str]
    again: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came out.

    Attributes:
        night: which.
        decisions: how many were recorded.
        sha256: of the recorded decisions, in the form in which they are compared.
        difference: None: the same, byte for byte.
    """

    night: date
    decisions: int
    sha256: str
    difference: Difference | None


def reproduce(engine: Engine, staging: UPath, run_id: int, *, now: datetime) -> Reproduction:
    """Merge the kept extract of a night, or of a replay, and compare it with what was recorded.

    Raises:
        UnknownRunError: there is no such run.
        CannotReproduceError: it recorded no decisions, or its extract is gone.
    """
    run = runs.find(engine, run_id)
    _require_decided(engine, run)
    recorded = decisions.recorded(engine, run.id)
    again = _merged(engine, stage_of(staging, run), run, recorded, now)
    ours, theirs = decisions.as_text(again), decisions.as_text(recorded)
    difference = None if ours == theirs else _first_difference(theirs, ours)
    return Reproduction(run.night, len(recorded), hashlib.sha256(theirs).hexdigest(), difference)


def _require_decided(engine: Engine, run: Run) -> None:
    if run.kind not in ("night", "replay"):
        raise CannotReproduceError(
            f"run {run.id} is a {run.kind}: only nights and replays keep an extract"
        )
    if attempts.step_counts(engine, run.id, "merge") is None:
        raise CannotReproduceError(f"run {run.id} recorded no decisions: its merge did not finish")


def _merged(engine: Engine, stage: Stage, run: Run, recorded: pa.Table, now: datetime) -> pa.Table:
    """Merge shard by shard, as the night did, and put together what it would have recorded."""
    access = access_of(engine, run.id)
    told = recorded.filter(pyarrow.compute.is_null(recorded["record_id"]))["person_id"].to_pylist()
    parts = [DECISIONS.empty_table()]
    try:
        people = scope_of(stage, run)
        for extract in inputs.load_extracts(engine, stage, run, access):
            result = of_interval(run, extract, decide_for(run, access, extract), people)
            parts += _again(run, result, told)
    except StagingIncompleteError as error:
        raise _gone(run, now) from error
    return pa.concat_tables(parts)


def _gone(run: Run, now: datetime) -> CannotReproduceError:
    days = (runs.night_of(now) - run.night).days
    if days > KEEP.days:
        return CannotReproduceError(
            f"the extract of run {run.id} is gone: it is kept for {KEEP.days} days, and this night "
            f"was {days} days ago; its decisions stay in opt_out_sync.merge_audit"
        )
    return CannotReproduceError(
        f"the extract of run {run.id} is not where OPT_OUT_SYNC_STAGING says: check that it names "
        "the folder of that night, and that the night was run by this release"
    )


def _again(run: Run, result: MergeResult, told: Collection[int]) -> Iterator[pa.Table]:
    """Return what a night records: what is decided, and who is news without a record.

    Who was news depends on the nights before; whoever is recorded as such must be found again.
    """
    unlinked = result.unlinked[~result.unlinked["person_id"].isin(result.decisions["person_id"])]
    news = unlinked[unlinked["person_id"].isin(told).to_numpy(bool)]
    for part in (result.decisions, unlinked_decisions(run, news)):
        yield to_arrow(part, DECISIONS)


def _first_difference(recorded: bytes, again: bytes) -> Difference:
    theirs, ours = recorded.splitlines(), again.splitlines()
    equal = set(theirs) & set(ours)
    odd = [[line for line in lines if line not in equal] for lines in (theirs, ours)]
    rows = [_row(lines[0]) if lines else {} for lines in odd]
    first = min(_order(row) for row in rows if row)
    was, would = (row if row and _order(row) == first else {} for row in rows)
    columns = [name for name in DECISIONS.names if was.get(name, "") != would.get(name, "")]
    return Difference(
        person_id=first[0],
        differing=max(len(lines) for lines in odd),
        recorded={name: was[name] for name in columns} if was else {},
        again={name: would[name] for name in columns} if would else {},
    )


def _row(line: bytes) -> dict[str, str]:
    return next(csv.DictReader([line.decode()], fieldnames=DECISIONS.names))


def _order(row: dict[str, str]) -> tuple[int, tuple[bool, str], tuple[bool, str]]:
    """Return where a row stands: people without a record come last, as in the comparison."""
    return (
        int(row["person_id"]),
        (row["record_id"] == "", row["record_id"]),
        (row["field"] == "", row["field"]),
    )
