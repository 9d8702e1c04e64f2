"""What would other settings have decided? The kept extract of a night, merged twice.

Pure but for reading: nothing is written, neither side is asked.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pandas as pd
from sqlalchemy import Engine
from upath import UPath

from include.audit import runs
from include.audit.runs import Run
from include.audit.settings import Settings
from include.domain.errors import PermanentSyncError
from include.domain.frames import Extract
from include.domain.merge import MergeResult, merge
from include.sync.nightly import inputs
from include.sync.nightly.steps import stage_of
from include.sync.preflight import Access, access_of
from include.sync.staging import KEEP, StagingIncompleteError

LINK: Final = ["person_id", "record_id", "object", "field"]
TARGETS: Final = {"target_store": "store", "target_salesforce": "Salesforce", "new_base": "base"}


class CannotSimulateError(PermanentSyncError):
    """The run was none that can be merged again, or did not read what the settings need."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """Two merges of one extract.

    Attributes:
        before: settings of the run.
        after: settings that were tried.
        codes: links by code: one row per code, `before` and `after` int64.
        verdicts: resubscribes by verdict and code: the same.
        differences: one row per link or resubscribe that is decided otherwise, ordered by person:
            `person_id` int64, `record_id`, `object`, `field` (null without a record), `act_id`
            Int64 (of a resubscribe, else null), `before` and `after` str in plain words.
    """

    before: Settings
    after: Settings
    codes: pd.DataFrame
    verdicts: pd.DataFrame
    differences: pd.DataFrame

    @property
    def people(self) -> list[int]:
        """Who would be decided otherwise, each once."""
        return [int(each) for each in self.differences["person_id"].drop_duplicates()]


def open_night(engine: Engine, run_id: int) -> Run:
    """Return the run, if it read both sides.

    Raises:
        UnknownRunError: there is none.
        CannotSimulateError: it did nothing, or is no night.
    """
    run = runs.find(engine, run_id)
    if run.kind != "night" or run.state == "skipped":
        what = "did nothing" if run.state == "skipped" else f"is a {run.kind}"
        raise CannotSimulateError(
            f"run {run_id} {what}: only a night has an extract; opt_out_sync.sync_run lists them"
        )
    return run


def simulate(engine: Engine, staging: UPath, run: Run, after: Settings) -> Simulation:
    """Merge the extract of a night as it was, and under other settings.

    Raises:
        CannotSimulateError: the extract is gone, or lacks a field that the settings need.
    """
    try:
        access = access_of(engine, run.id)
    except KeyError:  # preflight did not finish: it counted nothing
        raise _gone(run) from None
    _require_fields(run, access, after)
    return _of_shards(run, access, _extracts(engine, staging, run, access), after)


def _extracts(engine: Engine, staging: UPath, run: Run, access: Access) -> Iterator[Extract]:
    try:
        yield from inputs.load_extracts(engine, stage_of(staging, run), run, access)
    except StagingIncompleteError:
        raise _gone(run) from None


def _gone(run: Run) -> CannotSimulateError:
    return CannotSimulateError(
        f"the extract of run {run.id} is not there: it is kept for {KEEP.days} days, from the "
        "merge of the night on; choose a newer night, and check OPT_OUT_SYNC_STAGING"
    )


def _of_shards(
    run: Run, access: Access, extracts: Iterator[Extract], after: Settings
) -> Simulation:
    """Merge one shard after the other: only what differs is kept of it."""
    before = run.settings.settings
    codes, verdicts = (Counter[str](), Counter[str]()), (Counter[str](), Counter[str]())
    differences = []
    for extract in extracts:
        both = [_merge(run, access, extract, chosen) for chosen in (before, after)]
        for place, result in enumerate(both):
            codes[place].update(result.counts)
            verdicts[place].update(_verdicts(result))
        differences.append(_differences(*both))
    found = pd.concat(differences, ignore_index=True)
    return Simulation(
        before,
        after,
        _side_by_side(*codes),
        _side_by_side(*verdicts),
        found.sort_values(["person_id", "record_id", "field"], ignore_index=True),
    )


def _require_fields(run: Run, access: Access, after: Settings) -> None:
    found = access.readable(after.opt_out_fields)
    missing = [field for field in after.opt_out_fields if not found.get(field)]
    if missing:
        raise CannotSimulateError(
            f"run {run.id} did not extract {', '.join(missing)}, so nobody can tell what this "
            "field mode would have decided: choose the mode and let a night plan only"
        )


def _merge(run: Run, access: Access, extract: Extract, chosen: Settings) -> MergeResult:
    return merge(
        extract,
        inputs.choices_of(chosen, access),
        readable=access.readable(chosen.opt_out_fields),
        read_at=inputs.read_at(run),
    )


def _verdicts(result: MergeResult) -> list[str]:
    judged = result.judgements
    said = zip(judged["verdict"], judged["code"], strict=True)
    return [f"{verdict} {code}" for verdict, code in said]


def _side_by_side(before: Counter[str], after: Counter[str]) -> pd.DataFrame:
    counted = {"before": pd.Series(before, dtype="int64"), "after": pd.Series(after, dtype="int64")}
    return pd.DataFrame(counted).fillna(0).astype("int64").sort_index()


def _differences(before: MergeResult, after: MergeResult) -> pd.DataFrame:
    links = _changes(_described(before), _described(after), LINK)
    judged = _changes(_judged(before), _judged(after), ["act_id", "person_id"])
    parts = [part for part in (links, judged) if not part.empty]
    if not parts:
        return pd.DataFrame(columns=[*LINK, "act_id", "before", "after"])
    found = pd.concat(parts, ignore_index=True).reindex(
        columns=[*LINK, "act_id", "before", "after"]
    )
    found["act_id"] = found["act_id"].astype("Int64")
    return found.sort_values(["person_id", "record_id", "field"], ignore_index=True)


def _changes(before: pd.DataFrame, after: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Pair the rows of two merges; keep those that say something else."""
    both = before.merge(after, on=key, how="outer", suffixes=("_before", "_after"))
    both = both.rename(columns={"says_before": "before", "says_after": "after"})
    both[["before", "after"]] = both[["before", "after"]].fillna("nothing")
    return both[both["before"] != both["after"]]


def _described(result: MergeResult) -> pd.DataFrame:
    decided = result.decisions
    says = decided["code"].astype("str")
    for column, what in TARGETS.items():
        values = decided[column].astype("object")
        says = says + values.map(
            {True: f", {what} := opted out", False: f", {what} := not opted out"}
        ).fillna("").astype("str")
    return _keyed(decided, LINK).assign(says=says.to_numpy())


def _judged(result: MergeResult) -> pd.DataFrame:
    judged = result.judgements
    says = "resubscribe " + judged["verdict"].astype("str") + ": " + judged["code"].astype("str")
    return _keyed(judged, ["act_id", "person_id"]).assign(says=says.to_numpy())


def _keyed(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return the key in plain types: nulls are equal to each other in a join."""
    kinds = {name: "int64" if name.endswith(("person_id", "act_id")) else "str" for name in key}
    return frame[key].astype(kinds)
