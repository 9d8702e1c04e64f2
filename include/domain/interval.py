"""What of a merge belongs to a past night: the interval says which links, the present what is true.

A rerun of a past night decides like tonight's, on values read now; it only leaves alone whoever
that night had nothing to do with.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.domain.aligned import Bools, Integers
from include.domain.frames import Extract
from include.domain.ids import classify
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
    keys = frozenset(_keys(records).to_pylist())
    return Scope(frozenset(int(each) for each in people), keys)


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
    decided = result.decisions
    is_theirs = _is_in(_keys(decided["record_id"]), records)
    kept = is_theirs | decided["person_id"].isin(people).to_numpy(bool)
    return replace(
        result,
        decisions=decided[kept].reset_index(drop=True),
        judgements=_of_people(result.judgements, people),
        relinks=_of_people(result.relinks, people),
        retired=_of_people(result.retired, people),
        visibility=result.visibility.iloc[:0],
        unlinked=result.unlinked.iloc[:0],
        lost={},
        opted_out={},
        crowded=[],
    )


def _whole_groups(extract: Extract, result: MergeResult, scope: Scope) -> tuple[set[int], pa.Array]:
    """Add who shares a record with somebody of the scope, and what their records live on as.

    People and records are numbered once, so that each round is a look-up in arrays: a million
    links take a second, however long the chains are.
    """
    usable = classify(extract.people["salesforce_id"])["record_id"]  # nonsense joins nobody
    pairs = [
        _pairs(extract.people.assign(salesforce_id=usable), "salesforce_id"),
        _pairs(result.relinks, "to_record_id"),
        _pairs(result.decisions, "record_id"),
    ]
    person, people = pd.factorize(np.concatenate([persons for persons, _ in pairs]))
    keys = pa.concat_arrays([keys for _, keys in pairs]).dictionary_encode()
    key, records = keys.indices.to_numpy(), keys.dictionary
    has_person = np.isin(people, np.fromiter(scope.people, np.int64, len(scope.people)))
    has_key = _is_in(records, pa.array(scope.records, pa.string()))
    while True:
        inside = has_person[person] | has_key[key]
        if (has_person[person[inside]] & has_key[key[inside]]).all():
            break
        has_person[person[inside]] = True
        has_key[key[inside]] = True
    found = {*scope.people, *people[has_person].tolist()}
    return found, records.filter(pa.array(has_key))


def _pairs(frame: pd.DataFrame, column: str) -> tuple[Integers, pa.Array]:
    named = frame.dropna(subset=[column])
    return named["person_id"].to_numpy(np.int64), _keys(named[column])


def _keys(record_ids: pd.Series) -> pa.Array:
    strings = pa.array(record_ids, type=pa.string(), from_pandas=True)
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    return pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(strings), 0, _RECORD_KEY)


def _is_in(keys: pa.Array, some: pa.Array) -> Bools:
    return np.asarray(pc.is_in(keys, value_set=some).to_numpy(zero_copy_only=False), bool)


def _of_people(frame: pd.DataFrame, people: set[int]) -> pd.DataFrame:
    return frame[frame["person_id"].isin(people).to_numpy(bool)].reset_index(drop=True)
