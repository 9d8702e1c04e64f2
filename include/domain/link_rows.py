"""Rows of the audit that tell of links: what is done with each, and why."""

from typing import Any, Final

import numpy as np
import pandas as pd

from include.domain.aligned import (
    NULL,
    Flags,
    Integers,
    Positions,
    appended,
    flags,
    integers,
    moments,
    numbers,
    rows_or_null,
    times,
)
from include.domain.conflicts import Base, Code, Salesforce
from include.domain.plan import NAMES, NUMBER, Plan
from include.domain.row_parts import (
    TIME,
    Sides,
    field_names,
    finished,
    held_by,
    joining,
    stamped,
    taken,
)

LAST_MODIFIED: Final = "last modified"
HISTORY: Final = "history"
OWN_WRITE: Final = "own write"


_OF_RECORD: Final = [
    "is_person_account", "account_id", "last_modified_at", "last_modified_by",
]  # fmt: skip


def of_links(sides: Sides, made: Plan, at: Positions) -> pd.DataFrame:
    """Return one row per listed link, with everything that its decision was made from."""
    links, linked = sides.links, sides.life.linked
    person, row, place = links.person[at], links.row[at], links.place[at]
    record = rows_or_null(sides.records[_OF_RECORD], row)
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
            **held_by(sides, person),
            "salesforce_modified_at": record["last_modified_at"].astype(TIME).array,
            "salesforce_modified_by": record["last_modified_by"].array,
            "target_store": flags(made.target_store[at]),
            "target_salesforce": flags(made.target_salesforce[at]),
            "new_base": flags(made.new_base[at]),
            "code": NAMES[made.code[at]],
        }
    )
    names = field_names(frame)
    return finished(
        frame.assign(
            **_salesforce_times(sides, frame, names, row, shown, links.base[at]),
            evidence_id=_evidence(sides, made, at),
            shared_with=_shared_with(sides, made, at),
            cause=_causes(sides, made, at, names),
        )
    )


def _shown(salesforce: Flags) -> Flags:
    return np.where(salesforce > Salesforce.OPTED_OUT, NULL, salesforce).astype(np.int8)


def _modified_at(sides: Sides, row: Positions) -> Integers:
    """Return when records were last modified, in microseconds; 0 where that is not known."""
    modified, is_there = np.zeros(len(row), np.int64), row >= 0
    modified[is_there] = moments(sides.records["last_modified_at"].iloc[row[is_there]])
    return np.minimum(modified, sides.read_at)


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
    modified = _modified_at(sides, row)
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
    clears = (to_store == 0) | (to_salesforce == 0)
    return cause.mask(clears, _clearing(sides, at, seen)) if clears.any() else cause


def _stamp(sides: Sides, at: Positions) -> pd.Series:
    """Write the latest time at which Salesforce can have been opted out, as a cause carries it."""
    row, since = sides.links.row[at], sides.links.base_since[at]
    modified = _modified_at(sides, row)
    return stamped(np.where(row >= 0, modified, since))


def _act_causes(sides: Sides, person: Positions) -> pd.Series:
    """Name the act that each person's opt-out goes back to; null where there is none."""
    act = sides.newest[person]
    acts = sides.acts
    own = appended(acts.is_own, False)[act]
    number = pd.Series(appended(acts.id, 0)[act]).astype("str")
    inherited = pd.Series(taken(acts.cause, act), dtype="str")
    return ("act:" + number).where(own, inherited.where(act >= 0))


def _joined_causes(sides: Sides, person: Positions) -> pd.Series:
    """Name the record that an opt-out was carried over from."""
    left = joining(sides)
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
    return act.fillna(field_names(frame) + _stamp(sides, leader))


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
