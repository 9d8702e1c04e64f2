"""The conflict rules as data: what each combination of base, store and Salesforce means.

The rule in one line: a group is opted out if any value in it is, unless everyone in it who opted
out has accepted evidence newer than every opt-out in the group. The base, the last value both sides
agreed on, does not change that outcome; it tells *who* changed, so that each decision can be
explained. `docs/conflict-rules.md` is this table in prose; a test compares the two.

`unreadable` and `missing` are never "not opted out" and never cause a write.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class ConflictRule(StrEnum):
    """How the sync decides when the sides differ."""

    OPT_OUT_WINS = "opt_out_wins"
    CHANGED_SIDE = "changed_side"


class Code(StrEnum):
    """Why a link was decided as it was; stored verbatim in the merge audit."""

    AGREED = "AGREED"
    UNSUBSCRIBED_IN_STORE = "UNSUBSCRIBED_IN_STORE"
    OPTED_OUT_IN_SALESFORCE = "OPTED_OUT_IN_SALESFORCE"
    BOTH_OPTED_OUT = "BOTH_OPTED_OUT"
    CLEARED_IN_STORE_ONLY = "CLEARED_IN_STORE_ONLY"
    CLEARED_IN_SALESFORCE_ONLY = "CLEARED_IN_SALESFORCE_ONLY"
    BOTH_CLEARED = "BOTH_CLEARED"
    FIRST_SEEN_AGREED = "FIRST_SEEN_AGREED"
    FIRST_SEEN_OPT_OUT = "FIRST_SEEN_OPT_OUT"
    RESUBSCRIBED = "RESUBSCRIBED"
    RESUBSCRIBE_WAITING = "RESUBSCRIBE_WAITING"
    FOLLOWS_GROUP = "FOLLOWS_GROUP"
    SHARED_RECORD = "SHARED_RECORD"
    TUG_OF_WAR = "TUG_OF_WAR"
    UNREADABLE_FIELD = "UNREADABLE_FIELD"
    NOT_VISIBLE = "NOT_VISIBLE"
    DELETED_IN_SALESFORCE = "DELETED_IN_SALESFORCE"
    CARRIED_OVER_CONVERSION = "CARRIED_OVER_CONVERSION"
    CARRIED_OVER_MERGE = "CARRIED_OVER_MERGE"
    RELINKED = "RELINKED"
    NO_SALESFORCE_ID = "NO_SALESFORCE_ID"
    BAD_SALESFORCE_ID = "BAD_SALESFORCE_ID"
    PUSHED_WHILE_DISABLED = "PUSHED_WHILE_DISABLED"


class Verdict(StrEnum):
    """What became of a claim that somebody may be mailed again."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    WAITING = "waiting"  # it cannot be judged yet
    HELD = "held"  # judged good, and a person must approve so many clears at once


class Judgement(StrEnum):
    """Why a resubscribe was accepted, refused or has to wait; stored verbatim."""

    RESUBSCRIBED = "RESUBSCRIBED"
    NEWER_OPT_OUT = "NEWER_OPT_OUT"
    OPTED_OUT_IN_SALESFORCE = "OPTED_OUT_IN_SALESFORCE"
    EDITED_SINCE = "EDITED_SINCE"
    COMPLAINT = "COMPLAINT"
    OTHER_PERSON = "OTHER_PERSON"
    NEWER_EVIDENCE = "NEWER_EVIDENCE"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    HELD = "HELD"
    NOT_READ = "NOT_READ"


SYNC_ORIGIN: Final = "Salesforce Sync"
BOUNCE: Final = "Bounce"
COMPLAINT: Final = "Complaint"
BY_THE_PERSON: Final = ("Clicked Link", "One-Click", COMPLAINT)
"""Opt-outs of the person themselves: they end only by evidence, under either rule."""
OWN_OPT_IN: Final = ("Clicked Link", "One-Click")
"""Resubscribes of the person themselves: only these end a complaint."""

TUG_OF_WAR_AFTER: Final = 3
"""Closed nights in a row in which Salesforce undid our write; then a person has to look."""

CROWDED_ABOVE: Final = 10
"""Persons on one record: more are no family but a mistake, and somebody is told."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the admin chose that a merge depends on.

    Attributes:
        fields: API names of the opt-out fields of the chosen mode.
        rule: who wins.
        scopes: which unsubscribes count.
        bounces: whether bounces count.
        clock_skew: how far the clocks of the store and of Salesforce may be apart.
        evidence_waits: how long evidence may wait to be judged.
    """

    fields: tuple[str, ...]
    rule: ConflictRule = ConflictRule.OPT_OUT_WINS
    scopes: tuple[str, ...] = ("team",)
    bounces: bool = False
    clock_skew: timedelta = timedelta(seconds=300)
    evidence_waits: timedelta = timedelta(days=7)


class Base(IntEnum):
    """The last value both sides agreed on."""

    NOT_OPTED_OUT = 0
    OPTED_OUT = 1
    UNKNOWN = 2


class Store(IntEnum):
    """What the store says: its state is always known."""

    NOT_OPTED_OUT = 0
    OPTED_OUT = 1


class Salesforce(IntEnum):
    """What Salesforce says of the record a person is linked to."""

    NOT_OPTED_OUT = 0
    OPTED_OUT = 1
    UNREADABLE = 2  # the field is hidden or not installed
    MISSING = 3  # the record was not returned
    DELETED = 4


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one link.

    Attributes:
        code: why.
        target_store: value to write to the store, None for no write.
        target_salesforce: value to write to Salesforce, None for no write.
        new_base: value both sides then agree on, None if the base stays.
    """

    code: Code
    target_store: bool | None = None
    target_salesforce: bool | None = None
    new_base: bool | None = None


_F, _T, _NEW = Base.NOT_OPTED_OUT, Base.OPTED_OUT, Base.UNKNOWN
_IN, _OUT = Store.NOT_OPTED_OUT, Store.OPTED_OUT

_READABLE: Final = {
    # base  store Salesforce
    (_F, _IN, Salesforce.NOT_OPTED_OUT): Decision(Code.AGREED),
    (_F, _OUT, Salesforce.NOT_OPTED_OUT): Decision(
        Code.UNSUBSCRIBED_IN_STORE, target_salesforce=True, new_base=True
    ),
    (_F, _IN, Salesforce.OPTED_OUT): Decision(
        Code.OPTED_OUT_IN_SALESFORCE, target_store=True, new_base=True
    ),
    (_F, _OUT, Salesforce.OPTED_OUT): Decision(Code.BOTH_OPTED_OUT, new_base=True),
    (_T, _OUT, Salesforce.OPTED_OUT): Decision(Code.AGREED),
    (_T, _IN, Salesforce.OPTED_OUT): Decision(
        Code.CLEARED_IN_STORE_ONLY, target_store=True, new_base=True
    ),
    (_T, _OUT, Salesforce.NOT_OPTED_OUT): Decision(
        Code.CLEARED_IN_SALESFORCE_ONLY, target_salesforce=True, new_base=True
    ),
    (_T, _IN, Salesforce.NOT_OPTED_OUT): Decision(Code.BOTH_CLEARED, new_base=False),
    (_NEW, _IN, Salesforce.NOT_OPTED_OUT): Decision(Code.FIRST_SEEN_AGREED, new_base=False),
    (_NEW, _OUT, Salesforce.OPTED_OUT): Decision(Code.FIRST_SEEN_AGREED, new_base=True),
    (_NEW, _OUT, Salesforce.NOT_OPTED_OUT): Decision(
        Code.FIRST_SEEN_OPT_OUT, target_salesforce=True, new_base=True
    ),
    (_NEW, _IN, Salesforce.OPTED_OUT): Decision(
        Code.FIRST_SEEN_OPT_OUT, target_store=True, new_base=True
    ),
}
"""Both sides readable: section 4 of the specification, rule `opt_out_wins`."""

_CLEARED_BY_CHANGE: Final = {
    (_T, _IN, Salesforce.OPTED_OUT): Decision(
        Code.CLEARED_IN_STORE_ONLY, target_salesforce=False, new_base=False
    ),
    (_T, _OUT, Salesforce.NOT_OPTED_OUT): Decision(
        Code.CLEARED_IN_SALESFORCE_ONLY, target_store=False, new_base=False
    ),
}
"""Where `changed_side` differs: the side that left the base clears the other."""

_NOT_READ: Final = {
    Salesforce.UNREADABLE: Decision(Code.UNREADABLE_FIELD),
    Salesforce.MISSING: Decision(Code.NOT_VISIBLE),
    Salesforce.DELETED: Decision(Code.DELETED_IN_SALESFORCE),
}
"""Nothing is written to such a record, whatever the store says."""

_LOST_IN_STORE: Final = Decision(Code.CLEARED_IN_STORE_ONLY, target_store=True)
"""What cannot be read counts with its base: the store lost an opt-out that both had agreed on."""


def decide(
    base: Base,
    store: Store,
    salesforce: Salesforce,
    rule: ConflictRule = ConflictRule.OPT_OUT_WINS,
) -> Decision:
    """Decide one link that is alone in its group, without evidence."""
    if salesforce in (Salesforce.UNREADABLE, Salesforce.MISSING) and (base, store) == (_T, _IN):
        return _LOST_IN_STORE
    if salesforce in _NOT_READ:
        return _NOT_READ[salesforce]
    if rule is ConflictRule.CHANGED_SIDE and (base, store, salesforce) in _CLEARED_BY_CHANGE:
        return _CLEARED_BY_CHANGE[base, store, salesforce]
    return _READABLE[base, store, salesforce]


DECISIONS: Final = {
    rule: [decide(b, s, x, rule) for b in Base for s in Store for x in Salesforce]
    for rule in ConflictRule
}
"""Every combination there is, ordered so that `decision_index` finds it."""


def decision_index(
    base: npt.NDArray[np.int8], store: npt.NDArray[np.int8], salesforce: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """Return the position in `DECISIONS` of each link: one vectorised look-up for a million."""
    return (base.astype(np.int64) * len(Store) + store) * len(Salesforce) + salesforce
