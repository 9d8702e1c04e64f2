"""What of a merge belongs to a past night: the interval says which links, the present what is true.

A rerun of a past night decides like tonight's, on values read now; it only leaves alone whoever
that night had nothing to do with.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pandas as pd

from include.domain.frames import Extract
from include.domain.merge import MergeResult

_RECORD_KEY: Final = 15  # an Id of 18 characters names the same record as its first 15


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a rerun is about.

    Attributes:
        people: who did something in the interval, or was left over by that night.
        records: first 15 characters of the Ids of records last modified in it.
    """

    people: frozenset[int]
    records: frozenset[str]


def scope_of(
    extract: Extract, start: datetime, end: datetime, people: Collection[int] = ()
) -> Scope:
    """Find what an interval is about.

    Args:
        extract: what was read now.
        start: of the interval.
        end: of the interval, which does not belong to it.
        people: who recorded an act in it, or was left failed or held by its night.
    """
    modified = extract.records["last_modified_at"]
    of_it = (modified >= start) & (modified < end)
    records = extract.records.loc[of_it.fillna(False).astype(bool), "record_id"]
    return Scope(frozenset(int(each) for each in people), frozenset(_keys(records)))


def of_scope(extract: Extract, result: MergeResult, scope: Scope) -> MergeResult:
    """Keep of a merge what a scope is about; groups stay whole.

    Args:
        extract: what was merged.
        result: of the merge.
        scope: whom it is about.

    Returns:
        The same without decisions, judgements, relinks and retired links of other groups, and
        without observations: those are tonight's.
    """
    people, records = _whole_groups(extract, result, scope)
    kept = result.decisions["person_id"].isin(people)
    kept |= _keys(result.decisions["record_id"]).isin(records)
    return replace(
        result,
        decisions=result.decisions[kept.to_numpy(bool)].reset_index(drop=True),
        judgements=_of_people(result.judgements, people),
        relinks=_of_people(result.relinks, people),
        retired=_of_people(result.retired, people),
        visibility=result.visibility.iloc[:0],
        unlinked=result.unlinked.iloc[:0],
        lost={},
        opted_out={},
        crowded=[],
    )


def _whole_groups(extract: Extract, result: MergeResult, scope: Scope) -> tuple[set[int], set[str]]:
    """Add who shares a record with somebody of the scope, and what their records live on as."""
    named = extract.people.dropna(subset=["salesforce_id"])
    pairs = pd.concat(
        [
            pd.DataFrame({"person_id": named["person_id"], "key": _keys(named["salesforce_id"])}),
            _pairs(result.relinks, "to_record_id"),
            _pairs(result.decisions, "record_id"),
        ],
        ignore_index=True,
    ).drop_duplicates()
    people, records = set(scope.people), set(scope.records)
    while True:
        inside = pairs["person_id"].isin(people) | pairs["key"].isin(records)
        found = pairs[inside.to_numpy(bool)]
        before = len(people) + len(records)
        people |= {int(each) for each in found["person_id"]}
        records |= set(found["key"])
        if len(people) + len(records) == before:
            return people, records


def _pairs(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    named = frame.dropna(subset=[column])
    return pd.DataFrame({"person_id": named["person_id"], "key": _keys(named[column])})


def _keys(record_ids: pd.Series) -> pd.Series:
    return record_ids.astype("str").str.strip().str[:_RECORD_KEY]


def _of_people(frame: pd.DataFrame, people: set[int]) -> pd.DataFrame:
    return frame[frame["person_id"].isin(people).to_numpy(bool)].reset_index(drop=True)
