"""What the acts of the store say of each person: opted out or not, since when and why."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.domain.aligned import (
    Bools,
    Integers,
    Positions,
    bools,
    integers,
    is_in,
    moments,
    positions,
)
from include.domain.conflicts import BOUNCE, BY_THE_PERSON, SYNC_ORIGIN, Choices


@dataclass(frozen=True, slots=True)
class Acts:
    """Standing unsubscribes in scope. One entry per act in every array.

    Attributes:
        person: position in the people.
        at: microseconds since 1970 at which it happened, or its cause at the latest.
        id: of the act.
        is_own: by or for the person; otherwise written by the sync.
        origin: how it came.
        cause: of an act of the sync, else null.
    """

    person: Positions
    at: Integers
    id: Integers
    is_own: Bools
    origin: pd.Series
    cause: pd.Series

    def take(self, rows: Positions) -> "Acts":
        """Return some acts."""
        return Acts(
            self.person[rows],
            self.at[rows],
            self.id[rows],
            self.is_own[rows],
            self.origin.iloc[rows],
            self.cause.iloc[rows],
        )

    def of(self, wanted: Bools) -> "Acts":
        """Return the acts of the wanted people (one boolean per person)."""
        return self.take(np.flatnonzero(wanted[self.person]))


def acts_in_scope(people: pd.DataFrame, opt_outs: pd.DataFrame, choices: Choices) -> Acts:
    """Keep what the settings count; a per-sender unsubscribe or a bounce may stay in the store."""
    person = positions(integers(people["person_id"]), integers(opt_outs["person_id"]))
    counts = is_in(opt_outs["scope"], choices.scopes) & (person >= 0)
    if not choices.bounces:
        counts &= ~is_in(opt_outs["origin"], [BOUNCE])
    rows = np.flatnonzero(counts)
    chosen = opt_outs.iloc[rows]
    return Acts(
        person=person[rows],
        at=moments(chosen["at"]),
        id=integers(chosen["act_id"]),
        is_own=~is_in(chosen["origin"], [SYNC_ORIGIN]),
        origin=chosen["origin"],
        cause=chosen["caused_by"],
    )


def mark(people: int, person: Positions) -> Bools:
    """Return one boolean per person: whether they occur."""
    marked = np.zeros(people, bool)
    marked[person] = True
    return marked


def by_the_person(acts: Acts, people: int) -> Bools:
    """Tell who opted out themselves: that ends only by evidence."""
    return mark(people, acts.person[is_in(acts.origin, BY_THE_PERSON)])


def newest(acts: Acts, people: int) -> Positions:
    """Return the position of each person's newest own act, else of their newest act; -1: none."""
    order = np.lexsort((acts.id, acts.at, acts.is_own, acts.person))
    found = np.full(people, -1, np.intp)
    found[acts.person[order]] = order  # the last of each person wins
    return found


def accepted(people: pd.DataFrame, resubscribes: pd.DataFrame) -> Integers:
    """Return the id of each person's newest accepted resubscribe, with evidence or not; 0: none."""
    found = np.zeros(len(people), np.int64)
    chosen = resubscribes[bools(resubscribes["is_accepted"])]
    person = positions(integers(people["person_id"]), integers(chosen["person_id"]))
    order = np.lexsort((integers(chosen["act_id"]), moments(chosen["at"])))
    order = order[person[order] >= 0]
    found[person[order]] = integers(chosen["act_id"])[order]
    return found


def claims(
    people: pd.DataFrame, resubscribes: pd.DataFrame, acts: Acts, choices: Choices
) -> tuple[Integers, Integers]:
    """Find resubscribes without evidence that are newer than everything that stands.

    They count under `changed_side` only, and never against an opt-out by the person themselves.

    Returns:
        Per person the act's id and its time in microseconds; 0 where there is none.
    """
    claim_id, claim_at = np.zeros(len(people), np.int64), np.zeros(len(people), np.int64)
    plain = resubscribes[~bools(resubscribes["is_evidence"]) & ~bools(resubscribes["is_accepted"])]
    person = positions(integers(people["person_id"]), integers(plain["person_id"]))
    order = np.lexsort((integers(plain["act_id"]), moments(plain["at"])))
    order = order[person[order] >= 0]
    claim_id[person[order]] = integers(plain["act_id"])[order]
    claim_at[person[order]] = moments(plain["at"])[order]
    skew = np.int64(choices.clock_skew.total_seconds() * 1e6)
    from_salesforce = acts.cause.str.startswith("salesforce:").to_numpy(bool, na_value=False)
    of_act_at, of_act_id = claim_at[acts.person], claim_id[acts.person]
    is_newer = np.where(
        from_salesforce,
        of_act_at > acts.at + skew,
        (of_act_at > acts.at) | ((of_act_at == acts.at) & (of_act_id > acts.id)),
    )
    refuted = mark(len(people), acts.person[~is_newer]) | by_the_person(acts, len(people))
    claim_id[refuted] = 0
    return claim_id, claim_at
