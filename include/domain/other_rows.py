"""Rows of the audit that tell of no present link.

A record that a person left, a person without a record, a field outside the mode.
"""

import numpy as np
import pandas as pd

from include.domain.aligned import (
    NULL,
    Bools,
    Positions,
    appended,
    flags,
    integers,
    is_in,
    moments,
    numbers,
    positions,
    rows_or_null,
    times,
)
from include.domain.conflicts import Code
from include.domain.evidence import Findings
from include.domain.groups import Groups
from include.domain.lifecycle import Life
from include.domain.row_parts import (
    TIME,
    Sides,
    finished,
    held_by,
    joining,
)


def of_left(sides: Sides) -> pd.DataFrame | None:
    """Tell of every record that a person leaves, once, and whether its opt-out joins the store."""
    left = sides.life.left
    if left.empty:
        return None
    ids_of = left["person_id"].to_numpy(np.int64)
    person = positions(integers(sides.people["person_id"]), ids_of)
    joins = (left["value"] == 1).to_numpy(bool)
    first = (
        pd.Series(np.where(joins, ids_of, -1 - np.arange(len(left)))).duplicated().to_numpy(bool)
    )
    is_out = np.zeros(len(sides.people), bool)
    is_out[sides.acts.person] = True
    # what accepted evidence has answered does not reach the store, carried out already or not
    is_answered = sides.findings.is_cleared | sides.findings.is_left
    writes = joins & ~first & ~is_out[person] & ~is_answered[sides.groups.of_person[person]]
    record = rows_or_null(sides.records, left["row"].to_numpy(np.intp))
    since = left["base_since"].to_numpy(np.int64)
    cause = pd.Series(None, index=left.index, dtype="str")
    cause[joins] = joining(sides)["cause"].to_numpy(object)
    frame = pd.DataFrame(
        {
            "person_id": ids_of,
            "record_id": left["record_id"].to_numpy(object),
            "object": left["object"].to_numpy(object),
            "field": left["field"].to_numpy(object),
            "base": flags(left["base"].to_numpy(np.int8)),
            "base_since": times(since, since > 0),
            "store_is_opted_out": flags(is_out[person].astype(np.int8)),
            "salesforce_is_opted_out": flags(left["shown"].to_numpy(np.int8)),
            **held_by(sides, person),
            "salesforce_modified_at": record["last_modified_at"].astype(TIME).array,
            "salesforce_modified_by": record["last_modified_by"].array,
            "target_store": flags(np.where(writes, 1, NULL).astype(np.int8)),
            "code": left["code"].to_numpy(object),
            "cause": cause.to_numpy(object),
        }
    )
    return finished(frame)


def ended_without_link(groups: Groups, life: Life, findings: Findings, is_out: Bools) -> Positions:
    """Find people who are cleared and have no link that could say so."""
    linked = np.zeros(len(is_out), bool)
    linked[life.linked.person] = True
    return np.flatnonzero(findings.is_cleared[groups.of_person] & is_out & ~linked)


def without_link(sides: Sides) -> pd.DataFrame | None:
    """Tell of people without a usable Id whose evidence was accepted."""
    is_out = np.zeros(len(sides.people), bool)
    is_out[sides.acts.person] = True
    person = ended_without_link(sides.groups, sides.life, sides.findings, is_out)
    if not len(person):
        return None
    ends = sides.findings.by_person[person]
    frame = pd.DataFrame(
        {
            "person_id": integers(sides.people["person_id"])[person],
            "store_is_opted_out": flags(np.ones(len(person), np.int8)),
            **held_by(sides, person),
            "target_store": flags(np.zeros(len(person), np.int8)),
            "code": Code.RESUBSCRIBED.value,
            "cause": "act:" + pd.Series(ends).astype("str"),
            "evidence_id": numbers(ends, ends > 0),
        }
    )
    return finished(frame)


def outside(sides: Sides, known: pd.DataFrame) -> pd.DataFrame | None:
    """Clear the fields outside the mode that still show what we wrote: evidence covers them, too.

    Only where we wrote the value last, for an act from before the evidence; what somebody else
    ticked there is theirs.
    """
    if not sides.findings.is_cleared.any():
        return None
    outside = known[
        ~is_in(known["field"], sides.choices.fields)
        & is_in(known["state"], ["active"])
        & known["base"].fillna(False).to_numpy(bool)
    ]
    if outside.empty:
        return None
    person = positions(integers(sides.people["person_id"]), integers(outside["person_id"]))
    linked = np.full(len(sides.people) + 1, -1, np.intp)
    linked[sides.life.linked.person] = sides.life.linked.row
    record = rows_or_null(sides.records, linked[person])
    is_same = record["record_id"].fillna("").to_numpy(object) == outside["record_id"].to_numpy(
        object
    )
    is_same &= sides.findings.is_cleared[sides.groups.of_person[person]] & (person >= 0)
    at = np.flatnonzero(
        is_same & _says(outside["field"], record) & _is_ours(sides, outside, person)
    )
    if not len(at):
        return None
    ends = sides.findings.by_person[person[at]]
    is_out = np.zeros(len(sides.people), bool)
    is_out[sides.acts.person] = True
    frame = outside.iloc[at][["person_id", "record_id", "object", "field", "base", "base_since"]]
    seen = record.iloc[at]
    return finished(
        frame.reset_index(drop=True).assign(
            account_id=seen["account_id"].to_numpy(object),
            store_is_opted_out=flags(is_out[person[at]].astype(np.int8)),
            salesforce_is_opted_out=True,
            salesforce_modified_at=seen["last_modified_at"].astype(TIME).array,
            salesforce_modified_by=seen["last_modified_by"].to_numpy(object),
            target_salesforce=False,
            new_base=False,
            code=Code.RESUBSCRIBED.value,
            cause="act:" + pd.Series(ends).astype("str"),
            evidence_id=numbers(ends, ends > 0),
            **held_by(sides, person[at]),
        )
    )


def _says(fields: pd.Series, record: pd.DataFrame) -> Bools:
    """Tell row by row whether a record shows the named field as opted out."""
    says = np.zeros(len(fields), bool)
    for field in fields.unique():
        if field in record:
            of = (fields == field).to_numpy(bool)
            says |= of & record[field].to_numpy(bool, na_value=False)
    return says


def _is_ours(sides: Sides, outside: pd.DataFrame, person: Positions) -> Bools:
    """Tell whether we wrote a field last, for an act from before what ends the opt-out."""
    ours = sides.known_times[sides.known_times["act_id"].notna()]
    written = pd.MultiIndex.from_frame(ours[["record_id", "field"]])
    found = written.get_indexer(pd.MultiIndex.from_frame(outside[["record_id", "field"]]))
    carried_at = appended(moments(ours["at"]), 0)[found]
    carried = appended(integers(ours["act_id"]), 0)[found]
    ends_at, ends = sides.findings.since[person], sides.findings.by_person[person]
    is_before = (carried_at < ends_at) | ((carried_at == ends_at) & (carried < ends))
    return np.asarray((found >= 0) & is_before, bool)
