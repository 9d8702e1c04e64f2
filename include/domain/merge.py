"""The merge: compare every person with their Salesforce record and decide each link.

Pure and vectorised: frames in, frames out. Integer keys join the sides, one look-up in a table
of decisions applies the rules, and only what changes something becomes a row.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.domain import ids, sentences
from include.domain.conflicts import (
    DECISIONS,
    Base,
    Code,
    ConflictRule,
    Decision,
    Salesforce,
    Store,
    decision_index,
)
from include.domain.values import SalesforceObject

_ABSENT_CODES = frozenset(
    {
        Code.NOT_VISIBLE,
        Code.DELETED_IN_SALESFORCE,
        Code.CARRIED_OVER_CONVERSION,
        Code.CARRIED_OVER_MERGE,
    }
)
_REPORTED_ONCE = frozenset({Code.NOT_VISIBLE, Code.DELETED_IN_SALESFORCE})


_NULL = 2
Positions = npt.NDArray[np.intp]


def _as_flags(choices: list[bool | None]) -> npt.NDArray[np.int8]:
    return np.array([_NULL if choice is None else int(choice) for choice in choices], np.int8)


_CODE = np.array([d.code.value for d in DECISIONS], dtype=object)
_TARGET_STORE = _as_flags([d.target_store for d in DECISIONS])
_TARGET_SALESFORCE = _as_flags([d.target_salesforce for d in DECISIONS])
_NEW_BASE = _as_flags([d.new_base for d in DECISIONS])


def _changes_something(decision: Decision) -> bool:
    changes = (decision.target_store, decision.target_salesforce, decision.new_base)
    return any(change is not None for change in changes)


_LISTED = np.array([_changes_something(d) for d in DECISIONS])
_IS_ABSENT = np.array([d.code in _ABSENT_CODES for d in DECISIONS])
_IS_REPORTED_ONCE = np.array([d.code in _REPORTED_ONCE for d in DECISIONS])
_IS_DELETED = np.array([d.code is Code.DELETED_IN_SALESFORCE for d in DECISIONS])
_IS_UNREADABLE = np.array([d.code is Code.UNREADABLE_FIELD for d in DECISIONS])


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge decided.

    Attributes:
        decisions: one row per link that changes, ordered by person; columns as in `merge_audit`:
            values of both sides and their times (UTC), base, targets (null = no write), new base
            (null = it stays), rule, code, cause, and a sentence in plain English. Empty when both
            sides agree and nothing is new.
        visibility: one row per link whose record was lost or found again since the last run:
            `person_id`, `record_id`, `object`, `is_visible`, `is_deleted`.
        unlinked: one row per person whose opt-out cannot reach Salesforce because the Id is
            missing or its record is gone, and per malformed Id: `person_id`, `salesforce_id`,
            `code`. The whole list, whatever was told before.
        counts: links by code, agreed and unreadable ones included.
        lost: by object, how many known links lost their record since the last run (deleted ones
            aside), and how many known links there are.
    """

    decisions: pd.DataFrame
    visibility: pd.DataFrame
    unlinked: pd.DataFrame
    counts: dict[str, int]
    lost: dict[str, tuple[int, int]]


def merge(
    people: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    *,
    readable: Collection[SalesforceObject],
    field: str,
) -> MergeResult:
    """Decide every link of every person under `opt_out_wins`.

    Merging again after the targets were written and the bases moved decides nothing. The order
    of rows does not matter.

    Args:
        people: a `frames.People`.
        records: a `frames.Records`; objects that are not readable may be left out.
        links: a `frames.Links` of this field.
        readable: objects whose opt-out field could be read.
        field: API name of the opt-out field.
    """
    usable = ids.classify(people["salesforce_id"])
    aligned = _align(people.join(usable), records, links, readable)
    index = decision_index(aligned.base, aligned.store, aligned.salesforce)
    lost = _IS_ABSENT[index] & ~aligned.was_hidden
    found = ~_IS_ABSENT[index] & ~_IS_UNREADABLE[index] & aligned.was_hidden
    listed = np.flatnonzero(_LISTED[index] | (_IS_REPORTED_ONCE[index] & lost))
    return MergeResult(
        decisions=_decisions(aligned, index, listed, records, field),
        visibility=_visibility(aligned, index, lost, found),
        unlinked=_unlinked(people, usable, aligned, index),
        counts=_counts(index),
        lost=_lost(aligned, index),
    )


@dataclass(frozen=True, slots=True)
class _Aligned:
    """One entry per linkable person in every array; `row` points into the records, or -1."""

    people: pd.DataFrame
    row: Positions
    base: npt.NDArray[np.int8]
    store: npt.NDArray[np.int8]
    salesforce: npt.NDArray[np.int8]
    is_known: npt.NDArray[np.bool_]  # an earlier run had this link
    was_hidden: npt.NDArray[np.bool_]  # and did not get its record


def _align(
    people: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    readable: Collection[SalesforceObject],
) -> _Aligned:
    people = people[people["problem"].isna()].sort_values("person_id", ignore_index=True)
    person_key, record_key, link_key = ids.record_keys(
        people["record_id"], records["record_id"], links["record_id"]
    )
    row = _positions(record_key, person_key)
    position = _positions(
        people["person_id"].to_numpy(np.int64), links["person_id"].to_numpy(np.int64)
    )
    current = (position >= 0) & (person_key.take(position, mode="clip") == link_key)
    base = np.full(len(people), Base.UNKNOWN, np.int8)
    base[position[current]] = _nullable(links["base"], Base.UNKNOWN)[current]
    known = np.zeros(len(people), bool)
    known[position[current]] = True
    hidden = np.zeros(len(people), bool)
    hidden[position[current]] = ~links["is_visible"].to_numpy(bool)[current]
    return _Aligned(
        people=people,
        row=row,
        base=base,
        store=people["is_opted_out"].to_numpy(bool).astype(np.int8),
        salesforce=_salesforce_values(people["object"], records, row, readable),
        is_known=known,
        was_hidden=hidden,
    )


def _positions(unique: ids.Keys, wanted: ids.Keys) -> Positions:
    """Find each wanted key among unique ones; -1 where it is not."""
    return pd.Index(unique).get_indexer(pd.Index(wanted)).astype(np.intp)


def _nullable(flags: pd.Series, null: int) -> npt.NDArray[np.int8]:
    return np.asarray(flags.astype("Int8").to_numpy(np.int8, na_value=null), np.int8)


def _salesforce_values(
    objects: pd.Series,
    records: pd.DataFrame,
    row: Positions,
    readable: Collection[SalesforceObject],
) -> npt.NDArray[np.int8]:
    values = np.full(len(row), Salesforce.MISSING, np.int8)
    values[row >= 0] = _values_of_records(records)[row[row >= 0]]
    hidden = ~objects.isin([obj.value for obj in readable]).to_numpy(bool)
    values[hidden] = Salesforce.UNREADABLE
    return values


def _values_of_records(records: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Tell what each record says; a record that lives on elsewhere says it for the last time."""
    flag = _nullable(records["is_opted_out"], Salesforce.UNREADABLE)
    is_opted_out = flag == Salesforce.OPTED_OUT
    is_merged = records["master_record_id"].notna().to_numpy(bool)
    is_deleted = records["is_deleted"].to_numpy(bool)
    is_converted = records["is_converted"].to_numpy(bool)
    values = np.select(
        [is_deleted & is_merged, is_deleted, is_converted],
        [
            np.where(is_opted_out, Salesforce.MERGED_OPTED_OUT, Salesforce.MERGED),
            np.full(len(flag), Salesforce.DELETED),
            np.where(is_opted_out, Salesforce.CONVERTED_OPTED_OUT, Salesforce.CONVERTED),
        ],
        flag,
    )
    return values.astype(np.int8)


def _decisions(
    aligned: _Aligned,
    index: npt.NDArray[np.int64],
    listed: Positions,
    records: pd.DataFrame,
    field: str,
) -> pd.DataFrame:
    people, of = aligned.people.take(listed), index[listed]
    record = _rows_or_null(records, aligned.row[listed])
    decisions = pd.DataFrame(
        {
            "person_id": people["person_id"].to_numpy(np.int64),
            "record_id": people["record_id"].to_numpy(object),
            "object": people["object"].to_numpy(object),
            "field": field,
            "base": _flags(aligned.base[listed]),
            "store_is_opted_out": _flags(aligned.store[listed]),
            "salesforce_is_opted_out": record["is_opted_out"].astype("boolean").array,
            "store_opted_out_at": people["opted_out_at"].array,
            "store_origin": people["origin"].array,
            "salesforce_modified_at": record["last_modified_at"].array,
            "salesforce_modified_by": record["last_modified_by"].array,
            "target_store": _flags(_TARGET_STORE[of]),
            "target_salesforce": _flags(_TARGET_SALESFORCE[of]),
            "new_base": _flags(_NEW_BASE[of]),
            "rule": ConflictRule.OPT_OUT_WINS.value,
            "code": _CODE[of],
        }
    ).astype({"record_id": "str", "object": "str", "field": "str", "rule": "str", "code": "str"})
    decisions["cause"] = _causes(decisions, people["act_id"])
    decisions["reason"] = sentences.explain(decisions)
    return decisions


def _rows_or_null(records: pd.DataFrame, row: Positions) -> pd.DataFrame:
    return records.reset_index(drop=True).reindex(np.where(row < 0, len(records), row))


def _flags(values: npt.NDArray[np.int8]) -> pd.api.extensions.ExtensionArray:
    """Turn 0, 1 and anything above (null) into nullable booleans."""
    return pd.arrays.BooleanArray(values == 1, values >= _NULL)


def _causes(decisions: pd.DataFrame, act_id: pd.Series) -> pd.Series:
    """Name what each write carries: the store's act, or the Salesforce field that was seen."""
    seen = "salesforce:" + decisions["record_id"] + ":" + decisions["field"]
    act = "act:" + pd.Series(act_id.to_numpy(object), index=decisions.index).astype("Int64").astype(
        "str"
    )
    cause = seen.where(decisions["target_store"].notna())
    return cause.mask(decisions["target_salesforce"].notna(), act)


def _visibility(
    aligned: _Aligned,
    index: npt.NDArray[np.int64],
    lost: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    changed = np.flatnonzero(lost | found)
    visibility = aligned.people.take(changed)[["person_id", "record_id", "object"]]
    visibility["is_visible"] = found[changed]
    visibility["is_deleted"] = _IS_DELETED[index[changed]]
    return visibility.reset_index(drop=True)


def _unlinked(
    people: pd.DataFrame, usable: pd.DataFrame, aligned: _Aligned, index: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """List whose opt-out cannot reach Salesforce, and every malformed Id: those are mistakes."""
    is_malformed = (usable["problem"] == ids.IdProblem.BAD_SALESFORCE_ID).to_numpy(bool)
    is_stuck = usable["problem"].notna().to_numpy(bool) & people["is_opted_out"].to_numpy(bool)
    rows = is_malformed | is_stuck
    without_id = people.loc[rows, ["person_id", "salesforce_id"]]
    without_id["code"] = usable.loc[rows, "problem"]
    will_be_out = (aligned.store == Store.OPTED_OUT) | (_TARGET_STORE[index] == Store.OPTED_OUT)
    absent = _IS_ABSENT[index] & will_be_out
    is_deleted = _IS_DELETED[index[absent]]
    without_record = aligned.people.loc[absent, ["person_id", "salesforce_id"]]
    without_record["code"] = np.where(
        is_deleted, Code.DELETED_IN_SALESFORCE.value, Code.NOT_VISIBLE.value
    )
    both: pd.DataFrame = pd.concat([without_id, without_record])
    return both.sort_values("person_id", ignore_index=True)


def _lost(aligned: _Aligned, index: npt.NDArray[np.int64]) -> dict[str, tuple[int, int]]:
    is_lost = _IS_ABSENT[index] & ~_IS_DELETED[index] & aligned.is_known & ~aligned.was_hidden
    lost = aligned.people["object"][is_lost].value_counts()
    known = aligned.people["object"][aligned.is_known].value_counts()
    return {str(obj): (int(count), int(known[obj])) for obj, count in lost.items()}


def _counts(index: npt.NDArray[np.int64]) -> dict[str, int]:
    occurring = np.bincount(index, minlength=len(DECISIONS))
    counts: dict[str, int] = {}
    for decision, count in zip(DECISIONS, occurring.tolist(), strict=True):
        if count:
            counts[decision.code.value] = counts.get(decision.code.value, 0) + count
    return counts
