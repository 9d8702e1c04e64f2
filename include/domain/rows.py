"""What was decided, as rows of the audit: each can be understood alone."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from include.domain import sentences
from include.domain.aligned import (
    NULL,
    Bools,
    Flags,
    Integers,
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
from include.domain.conflicts import Base, Choices, Code, Salesforce
from include.domain.evidence import Findings
from include.domain.groups import Groups, Links
from include.domain.lifecycle import Life
from include.domain.plan import NAMES, NUMBER, Plan
from include.domain.store_state import Acts

TIME: Final = "datetime64[us, UTC]"
_SECONDS: Final = pd.ArrowDtype(pa.timestamp("s", "UTC"))
LAST_MODIFIED: Final = "last modified"
HISTORY: Final = "history"
OWN_WRITE: Final = "own write"

_TEXT: Final = dict.fromkeys(
    (
        "record_id",
        "object",
        "field",
        "account_id",
        "store_origin",
        "salesforce_modified_by",
        "salesforce_time_source",
        "rule",
        "code",
        "cause",
    ),
    "str",
)
_IDS: Final = dict.fromkeys(("store_act_id", "evidence_id", "shared_with"), "Int64")
_TIMES: Final = dict.fromkeys(
    (
        "base_since",
        "store_opted_out_at",
        "salesforce_modified_at",
        "salesforce_opted_out_after",
        "salesforce_opted_out_before",
    ),
    TIME,
)
_FLAGS: Final = dict.fromkeys(
    (
        "base",
        "store_is_opted_out",
        "salesforce_is_opted_out",
        "target_store",
        "target_salesforce",
        "new_base",
    ),
    "boolean",
)
DTYPES: Final = {"person_id": "int64"} | _TEXT | _IDS | _TIMES | _FLAGS


@dataclass(frozen=True, slots=True)
class Sides:
    """Everything a row tells of, side by side."""

    people: pd.DataFrame
    records: pd.DataFrame
    known_times: pd.DataFrame
    acts: Acts
    newest: Positions
    claims: tuple[Integers, Integers]
    accepted: Integers
    links: Links
    life: Life
    groups: Groups
    findings: Findings
    choices: Choices
    read_at: int


def decisions(sides: Sides, made: Plan, listed: Positions, known: pd.DataFrame) -> pd.DataFrame:
    """Return one row per listed link, per record left behind and per person cleared without one.

    Args:
        sides: of the merge.
        made: what is done with each link.
        listed: links that get a row.
        known: a `frames.Links`: fields outside the mode that we once set are cleared, too.
    """
    parts = [_of_left(sides), _without_link(sides), _outside(sides, known)]
    filled = [_of_links(sides, made, listed), *(part for part in parts if part is not None)]
    rows = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
    rows = rows.assign(rule=sides.choices.rule.value).astype({"rule": "str"})
    order = np.lexsort(
        (rows["field"].fillna("").to_numpy(str), rows["record_id"].fillna("").to_numpy(str))
        if len(filled) > 1 or len(sides.choices.fields) > 1
        else (np.zeros(len(rows), np.int8),)
    )
    rows = rows.iloc[order].sort_values("person_id", kind="stable", ignore_index=True)
    return rows.assign(reason=sentences.explain(rows))


def retired(life: Life) -> pd.DataFrame:
    """Return the links that end: `person_id`, `record_id`, `object`, `field`."""
    columns = ["person_id", "record_id", "object", "field"]
    ended = pd.concat([life.left[columns], life.orphaned[columns]], ignore_index=True)
    return ended.astype({"person_id": "int64", "record_id": "str", "object": "str", "field": "str"})


def judgements(judged: pd.DataFrame, dropped: pd.DataFrame) -> pd.DataFrame:
    """Return one row per judged resubscribe, with the reason in plain English."""
    both = pd.concat([judged, dropped], ignore_index=True).astype(
        {"act_id": "int64", "person_id": "int64", "verdict": "str", "code": "str"}
        | {"in_the_way": "str", "retry_after": TIME}
    )
    both = both.sort_values("act_id", ignore_index=True)
    return both.assign(reason=sentences.explain_judgements(both))


def _of_links(sides: Sides, made: Plan, at: Positions) -> pd.DataFrame:
    links, linked = sides.links, sides.life.linked
    person, row, place = links.person[at], links.row[at], links.place[at]
    record = rows_or_null(sides.records, row)
    is_account = record["is_person_account"].fillna(False).to_numpy(bool)
    shown = _shown(links.salesforce[at])
    frame = pd.DataFrame(
        {
            "person_id": integers(sides.people["person_id"])[person],
            "record_id": linked.record_id.iloc[place].to_numpy(object),
            "object": linked.object.iloc[place].to_numpy(object),
            "field": np.array(sides.choices.fields, object)[links.field[at]],
            "account_id": record["account_id"].where(is_account, None).to_numpy(object),
            "base": flags(links.base[at]),
            "base_since": times(links.base_since[at], links.base_since[at] > 0),
            "store_is_opted_out": flags(links.is_opted_out[at].astype(np.int8)),
            "salesforce_is_opted_out": flags(shown),
            **_held_by(sides, person),
            "salesforce_modified_at": record["last_modified_at"].astype(TIME).array,
            "salesforce_modified_by": record["last_modified_by"].array,
            "target_store": flags(made.target_store[at]),
            "target_salesforce": flags(made.target_salesforce[at]),
            "new_base": flags(made.new_base[at]),
            "code": NAMES[made.code[at]],
        }
    )
    names = _names(frame)
    return _finished(
        frame.assign(
            **_salesforce_times(sides, frame, names, row, shown, links.base[at]),
            evidence_id=_evidence(sides, made, at),
            shared_with=_shared_with(sides, made, at),
            cause=_causes(sides, made, at, names),
        )
    )


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a part of the rows every column, in one order."""
    return frame.reindex(columns=[name for name in DTYPES if name != "rule"]).astype(
        {name: kind for name, kind in DTYPES.items() if name != "rule"}
    )


def _held_by(sides: Sides, person: Positions) -> dict[str, Any]:
    """Tell which act holds each person opted out: their newest own one, else the sync's."""
    act = sides.newest[person]
    has = act >= 0
    acts = sides.acts
    at = appended(acts.at, 0)[act]
    return {
        "store_opted_out_at": times(at, has),
        "store_origin": _taken(acts.origin, act),
        "store_act_id": numbers(appended(acts.id, 0)[act], has),
    }


def _taken(column: pd.Series, at: Positions) -> np.ndarray:
    """Take text by position; null for -1."""
    return appended(column.to_numpy(object), None)[at]


def _shown(salesforce: Flags) -> Flags:
    return np.where(salesforce > Salesforce.OPTED_OUT, NULL, salesforce).astype(np.int8)


def _names(frame: pd.DataFrame) -> pd.Series:
    """Name each field of a record as a cause does, without a time."""
    record_id, field = frame["record_id"].astype("str"), frame["field"].astype("str")
    return "salesforce:" + record_id + ":" + field


def _salesforce_times(
    sides: Sides,
    frame: pd.DataFrame,
    names: pd.Series,
    row: Positions,
    shown: Flags,
    base: Flags,
) -> dict[str, Any]:
    """Date what Salesforce says, as far as that is known: after, before, and how."""
    says = shown == 1
    modified = np.minimum(
        appended(moments(sides.records["last_modified_at"]), 0)[row], sides.read_at
    )
    before, after = modified, np.where(base == Base.NOT_OPTED_OUT, moments(frame["base_since"]), 0)
    source = np.full(len(says), None, object)
    source[says & (modified > 0)] = LAST_MODIFIED
    if len(sides.known_times):
        known = "salesforce:" + sides.known_times["record_id"] + ":" + sides.known_times["field"]
        found = pd.Index(known.to_numpy(object)).get_indexer(pd.Index(names.to_numpy(object)))
        exact = says & (found >= 0)
        at = appended(moments(sides.known_times["at"]), 0)[found]
        before, after = np.where(exact, at, before), np.where(exact, at, after)
        by_us = sides.known_times["act_id"].notna().to_numpy(bool)
        source[exact] = np.where(appended(by_us, False)[found], OWN_WRITE, HISTORY)[exact]
    return {
        "salesforce_opted_out_after": times(after, says & (after > 0)),
        "salesforce_opted_out_before": times(before, says & (before > 0)),
        "salesforce_time_source": source,
    }


def _evidence(sides: Sides, made: Plan, at: Positions) -> pd.api.extensions.ExtensionArray:
    ends = sides.findings.by_person[sides.links.person[at]]
    return numbers(ends, (ends > 0) & sides.findings.is_cleared[sides.links.group[at]])


def _shared_with(sides: Sides, made: Plan, at: Positions) -> pd.api.extensions.ExtensionArray:
    leader = made.leader[at]
    person = sides.links.person[leader]
    names_other = made.code[at] == NUMBER[Code.SHARED_RECORD]
    names_other |= (made.code[at] == NUMBER[Code.TUG_OF_WAR]) & (person != sides.links.person[at])
    return numbers(integers(sides.people["person_id"])[person], (leader >= 0) & names_other)


def _causes(sides: Sides, made: Plan, at: Positions, names: pd.Series) -> pd.Series:
    """Name what each write carries: an act, or the Salesforce field that was seen."""
    links = sides.links
    seen = names + _stamp(sides, at)
    act = _act_causes(sides, links.person[at])
    leads = made.leader[at]
    led = np.flatnonzero(leads >= 0)
    to_store, to_salesforce = made.target_store[at], made.target_salesforce[at]
    cause = pd.Series(None, index=names.index, dtype="str")
    cause = cause.mask(to_store == 1, seen)
    cause = cause.mask(to_salesforce == 1, act)
    joined = to_salesforce == 1
    joined &= act.isna().to_numpy(bool)
    if joined.any():
        cause = cause.mask(joined, _joined_causes(sides, links.person[at]))
    if len(led):
        cause.iloc[led] = _leaders_causes(sides, leads[led]).to_numpy(object)
    return cause.mask((to_store == 0) | (to_salesforce == 0), _clearing(sides, at, seen))


def _stamp(sides: Sides, at: Positions) -> pd.Series:
    """Write the latest time at which Salesforce can have been opted out, as a cause carries it."""
    row, since = sides.links.row[at], sides.links.base_since[at]
    modified = np.minimum(
        appended(moments(sides.records["last_modified_at"]), 0)[row], sides.read_at
    )
    return _stamped(np.where(row >= 0, modified, since))


def _stamped(at: Integers) -> pd.Series:
    """Return `@<time>` to the whole second, rounded up; nothing where no time is known."""
    seconds = -(-at // 1_000_000)
    text = pd.Series(pd.to_datetime(seconds, unit="s", utc=True)).astype(_SECONDS)
    stamp: pd.Series = "@" + text.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("str")
    return stamp.where(at > 0, "")


def _act_causes(sides: Sides, person: Positions) -> pd.Series:
    """Name the act that each person's opt-out goes back to; null where there is none."""
    act = sides.newest[person]
    acts = sides.acts
    own = appended(acts.is_own, False)[act]
    number = pd.Series(appended(acts.id, 0)[act]).astype("str")
    inherited = pd.Series(_taken(acts.cause, act), dtype="str")
    return ("act:" + number).where(own, inherited.where(act >= 0))


def _joined_causes(sides: Sides, person: Positions) -> pd.Series:
    """Name the record that an opt-out was carried over from."""
    left = _joining(sides)
    first = left.drop_duplicates("person_id")
    by_person = pd.Series(first["cause"].to_numpy(object), index=first["person_id"], dtype="str")
    return by_person.reindex(integers(sides.people["person_id"])[person]).reset_index(drop=True)


def _leaders_causes(sides: Sides, leader: Positions) -> pd.Series:
    """Name what the strongest link of a group goes back to."""
    links = sides.links
    act = _act_causes(sides, links.person[leader])
    frame = pd.DataFrame(
        {
            "record_id": sides.life.linked.record_id.iloc[links.place[leader]].to_numpy(object),
            "field": np.array(sides.choices.fields, object)[links.field[leader]],
        }
    )
    act = act.fillna(_joined_causes(sides, links.person[leader]))
    return act.fillna(_names(frame) + _stamp(sides, leader))


def _clearing(sides: Sides, at: Positions, seen: pd.Series) -> pd.Series:
    """Name what clears: evidence, a resubscribe without, or the box that was cleared.

    Where the store was cleared before, by a night that could not write Salesforce, that is what the
    person's newest accepted resubscribe did.
    """
    person = sides.links.person[at]
    is_shown = sides.links.salesforce[at] == Salesforce.OPTED_OUT
    claimed = sides.claims[0][person]
    claimed = np.where((claimed == 0) & is_shown, sides.accepted[person], claimed)
    ends = np.where(
        sides.findings.is_cleared[sides.links.group[at]], sides.findings.by_person[person], claimed
    )
    named = "act:" + pd.Series(ends).astype("str")
    return named.where(ends > 0, seen.where(~is_shown))


def _joining(sides: Sides) -> pd.DataFrame:
    """Return the records left behind whose opt-out joins, with the cause that they are."""
    left = sides.life.left
    left = left[left["value"] == 1]
    row = left["row"].to_numpy(np.intp)
    modified = appended(moments(sides.records["last_modified_at"]), 0)[row]
    stamp = _stamped(np.minimum(modified, sides.read_at))
    return left.assign(cause=_names(left) + stamp.to_numpy(object))


def _of_left(sides: Sides) -> pd.DataFrame | None:
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
    cleared = sides.findings.is_cleared[sides.groups.of_person[person]]
    writes = joins & ~first & ~is_out[person] & ~cleared
    record = rows_or_null(sides.records, left["row"].to_numpy(np.intp))
    cause = pd.Series(None, index=left.index, dtype="str")
    cause[joins] = _joining(sides)["cause"].to_numpy(object)
    frame = pd.DataFrame(
        {
            "person_id": ids_of,
            "record_id": left["record_id"].to_numpy(object),
            "object": left["object"].to_numpy(object),
            "field": left["field"].to_numpy(object),
            "store_is_opted_out": flags(is_out[person].astype(np.int8)),
            "salesforce_is_opted_out": flags(left["value"].to_numpy(np.int8)),
            **_held_by(sides, person),
            "salesforce_modified_at": record["last_modified_at"].astype(TIME).array,
            "salesforce_modified_by": record["last_modified_by"].array,
            "target_store": flags(np.where(writes, 1, NULL).astype(np.int8)),
            "code": left["code"].to_numpy(object),
            "cause": cause.to_numpy(object),
        }
    )
    return _finished(frame)


def ended_without_link(groups: Groups, life: Life, findings: Findings, is_out: Bools) -> Positions:
    """Find people who are cleared and have no link that could say so."""
    linked = np.zeros(len(is_out), bool)
    linked[life.linked.person] = True
    return np.flatnonzero(findings.is_cleared[groups.of_person] & is_out & ~linked)


def _without_link(sides: Sides) -> pd.DataFrame | None:
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
            **_held_by(sides, person),
            "target_store": flags(np.zeros(len(person), np.int8)),
            "code": Code.RESUBSCRIBED.value,
            "cause": "act:" + pd.Series(ends).astype("str"),
            "evidence_id": numbers(ends, ends > 0),
        }
    )
    return _finished(frame)


def _outside(sides: Sides, known: pd.DataFrame) -> pd.DataFrame | None:
    """Clear the fields outside the mode that still show what we wrote: evidence covers them, too.

    Only where the value was last written by us; what somebody else ticked there is theirs.
    """
    outside = known[
        ~is_in(known["field"], sides.choices.fields)
        & is_in(known["state"], ["active"])
        & known["base"].fillna(False).to_numpy(bool)
    ]
    if outside.empty or not sides.findings.is_cleared.any():
        return None
    person = positions(integers(sides.people["person_id"]), integers(outside["person_id"]))
    linked = np.full(len(sides.people) + 1, -1, np.intp)
    linked[sides.life.linked.person] = sides.life.linked.row
    row = linked[person]
    record = rows_or_null(sides.records, row)
    named = record["record_id"].fillna("").to_numpy(object)
    same = named == outside["record_id"].to_numpy(object)
    same &= sides.findings.is_cleared[sides.groups.of_person[person]] & (person >= 0)
    shows = np.zeros(len(outside), bool)
    for field in outside["field"].unique():
        if field in record:
            of = (outside["field"] == field).to_numpy(bool)
            shows |= of & record[field].to_numpy(bool, na_value=False)
    ours = sides.known_times[sides.known_times["act_id"].notna()]
    written = pd.MultiIndex.from_frame(outside[["record_id", "field"]]).isin(
        pd.MultiIndex.from_frame(ours[["record_id", "field"]])
    )
    at = np.flatnonzero(same & shows & written)
    if not len(at):
        return None
    ends = sides.findings.by_person[person[at]]
    frame = outside.iloc[at][["person_id", "record_id", "object", "field", "base", "base_since"]]
    seen = record.iloc[at]
    return _finished(
        frame.reset_index(drop=True).assign(
            account_id=seen["account_id"].to_numpy(object),
            store_is_opted_out=True,
            salesforce_is_opted_out=True,
            salesforce_modified_at=seen["last_modified_at"].astype(TIME).array,
            salesforce_modified_by=seen["last_modified_by"].to_numpy(object),
            target_salesforce=False,
            new_base=False,
            code=Code.RESUBSCRIBED.value,
            cause="act:" + pd.Series(ends).astype("str"),
            evidence_id=numbers(ends, ends > 0),
            **_held_by(sides, person[at]),
        )
    )
