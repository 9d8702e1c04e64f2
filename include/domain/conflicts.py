"""The conflict rules as data: what each combination of base, store and Salesforce means.

The rule in one line: a person is opted out if either side says so. The base, the last value both
sides agreed on, does not change that outcome; it tells *who* changed, so that each decision can
be explained. `docs/conflict-rules.md` is this table in prose; a test compares the two.

`unreadable` and `missing` are never "not opted out" and never cause a write.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class ConflictRule(StrEnum):
    """How the sync decides when the sides differ."""

    OPT_OUT_WINS = "opt_out_wins"


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
    UNREADABLE_FIELD = "UNREADABLE_FIELD"
    NOT_VISIBLE = "NOT_VISIBLE"
    DELETED_IN_SALESFORCE = "DELETED_IN_SALESFORCE"
    CARRIED_OVER_CONVERSION = "CARRIED_OVER_CONVERSION"
    CARRIED_OVER_MERGE = "CARRIED_OVER_MERGE"
    NO_SALESFORCE_ID = "NO_SALESFORCE_ID"
    BAD_SALESFORCE_ID = "BAD_SALESFORCE_ID"


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
    CONVERTED = 5  # a converted Lead, not opted out: it lives on as a Contact
    CONVERTED_OPTED_OUT = 6
    MERGED = 7  # merged away, not opted out: it lives on as another record
    MERGED_OPTED_OUT = 8


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

_NOT_WRITABLE: Final = {
    Salesforce.UNREADABLE: Decision(Code.UNREADABLE_FIELD),
    Salesforce.MISSING: Decision(Code.NOT_VISIBLE),
    Salesforce.DELETED: Decision(Code.DELETED_IN_SALESFORCE),
    Salesforce.CONVERTED: Decision(Code.NOT_VISIBLE),
    Salesforce.CONVERTED_OPTED_OUT: Decision(Code.NOT_VISIBLE),
    Salesforce.MERGED: Decision(Code.NOT_VISIBLE),
    Salesforce.MERGED_OPTED_OUT: Decision(Code.NOT_VISIBLE),
}
"""Nothing can be written to such a record, whatever the store says."""

_CARRIED_OVER: Final = {
    Salesforce.CONVERTED_OPTED_OUT: Decision(Code.CARRIED_OVER_CONVERSION, target_store=True),
    Salesforce.MERGED_OPTED_OUT: Decision(Code.CARRIED_OVER_MERGE, target_store=True),
}
"""An opt-out survives conversion and merge: it joins the store although its record is gone."""


def decide(base: Base, store: Store, salesforce: Salesforce) -> Decision:
    """Decide one link under `opt_out_wins`."""
    if salesforce in _CARRIED_OVER and store is Store.NOT_OPTED_OUT:
        return _CARRIED_OVER[salesforce]
    if salesforce in _NOT_WRITABLE:
        return _NOT_WRITABLE[salesforce]
    return _READABLE[base, store, salesforce]


DECISIONS: Final = [decide(b, s, x) for b in Base for s in Store for x in Salesforce]
"""Every combination there is, ordered so that `decision_index` finds it."""


def decision_index(
    base: npt.NDArray[np.int8], store: npt.NDArray[np.int8], salesforce: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """Return the position in `DECISIONS` of each link: one vectorised look-up for a million."""
    return (base.astype(np.int64) * len(Store) + store) * len(Salesforce) + salesforce
