"""One sentence per decision, for the person who asks "why is this person opted out?".

A sentence stands alone: who said no, where and when, and what the sync does about it. It never
contains an address or a name.
"""

from string import Formatter
from typing import Final

import pandas as pd

from include.domain.conflicts import Code

_SET_STORE: Final = "so the store is set to opted out"
_SET_SALESFORCE: Final = "so Salesforce is set to opted out"

_SENTENCES: Final = {
    (Code.UNSUBSCRIBED_IN_STORE, "salesforce"): (
        f"The person opted out in the store {{act}}; the Salesforce {{object}} did not show it, "
        f"{_SET_SALESFORCE}."
    ),
    (Code.OPTED_OUT_IN_SALESFORCE, "store"): (
        f"The {{object}} was opted out in Salesforce {{edit}}; the store did not know it, "
        f"{_SET_STORE}."
    ),
    (Code.FIRST_SEEN_OPT_OUT, "salesforce"): (
        f"Compared for the first time: the person is opted out in the store {{act}} and the "
        f"Salesforce {{object}} is not, {_SET_SALESFORCE}."
    ),
    (Code.FIRST_SEEN_OPT_OUT, "store"): (
        f"Compared for the first time: the {{object}} is opted out in Salesforce {{edit}} and the "
        f"person is not in the store, {_SET_STORE}."
    ),
    (Code.CLEARED_IN_STORE_ONLY, "store"): (
        "Both sides had agreed on opted out; the store was cleared without evidence while "
        f"Salesforce still says opted out, {_SET_STORE} again: a clear on one side is no "
        "permission to mail."
    ),
    (Code.CLEARED_IN_SALESFORCE_ONLY, "salesforce"): (
        "Both sides had agreed on opted out; the box was cleared in Salesforce {edit} while the "
        f"store still says opted out, {_SET_SALESFORCE} again: a clear on one side is no "
        "permission to mail."
    ),
    (Code.BOTH_OPTED_OUT, ""): (
        "Both sides opted the person out since they last agreed; nothing to write."
    ),
    (Code.BOTH_CLEARED, ""): "Both sides cleared the opt-out since they last agreed.",
    (Code.FIRST_SEEN_AGREED, ""): "Compared for the first time: both sides already agree.",
    (Code.NOT_VISIBLE, ""): (
        "Salesforce did not return the {object} this person is linked to, or it lives on as "
        "another record: nothing is read from it or written to it."
    ),
    (Code.DELETED_IN_SALESFORCE, ""): (
        "The {object} was deleted in Salesforce: the store keeps its state, nothing is sent."
    ),
    (Code.CARRIED_OVER_CONVERSION, "store"): (
        "The Lead was opted out and has been converted: an opt-out survives conversion, "
        f"{_SET_STORE}."
    ),
    (Code.CARRIED_OVER_MERGE, "store"): (
        f"The {{object}} was opted out and has been merged into another record: an opt-out "
        f"survives a merge, {_SET_STORE}."
    ),
}

_UNLINKED: Final = {
    Code.NO_SALESFORCE_ID: (
        "The person is opted out in the store and has no Salesforce Id: there is no record to "
        "mark. The opt-out is carried over as soon as the person gets one."
    ),
    Code.NOT_VISIBLE: (
        "The person is opted out in the store, and Salesforce does not return the record that "
        "their Salesforce Id names, or it lives on as another one. Put the Id of the living "
        "record into the store; the opt-out is carried over the next night."
    ),
    Code.DELETED_IN_SALESFORCE: (
        "The person is opted out in the store and their Salesforce record is deleted: nothing is "
        "sent. If another record took its place, put its Id into the store."
    ),
    Code.BAD_SALESFORCE_ID: (
        "The person's Salesforce Id is malformed or names something else than a Contact or a "
        "Lead: it is never sent. Correct the Id in the store."
    ),
}


def explain(decisions: pd.DataFrame) -> pd.Series:
    """Return one sentence per decision (one row per link, columns as in `merge_audit`)."""
    side = pd.Series("", index=decisions.index, dtype="str")
    side = side.mask(decisions["target_store"].notna(), "store")
    side = side.mask(decisions["target_salesforce"].notna(), "salesforce")
    sentence = pd.Series(None, index=decisions.index, dtype="str")
    for (code, to), template in _SENTENCES.items():
        is_one = (decisions["code"] == code.value) & (side == to)
        if is_one.any():
            sentence.loc[is_one] = _fill(template, decisions[is_one])
    return sentence


def explain_unlinked(codes: pd.Series) -> pd.Series:
    """Return one sentence per person whose opt-out cannot reach Salesforce."""
    return codes.map({code.value: text for code, text in _UNLINKED.items()}).astype("str")


def _fill(template: str, rows: pd.DataFrame) -> pd.Series:
    """Fill a template for all rows at once."""
    sentence = pd.Series("", index=rows.index, dtype="str")
    for text, name, _, _ in Formatter().parse(template):
        sentence = sentence + text
        if name:
            sentence = sentence + _PHRASES[name](rows)
    return sentence


def _object(rows: pd.DataFrame) -> pd.Series:
    return rows["object"]


def _act(rows: pd.DataFrame) -> pd.Series:
    """When and how the person said no."""
    origin = rows["store_origin"].astype("str")
    return "on " + _minute(rows["store_opted_out_at"]) + " (" + origin + ")"


def _edit(rows: pd.DataFrame) -> pd.Series:
    """When at the latest: Salesforce dates the record, not the field."""
    return "on " + _minute(rows["salesforce_modified_at"]) + " or before"


def _minute(times: pd.Series) -> pd.Series:
    minutes: pd.Series = times.dt.strftime("%Y-%m-%d %H:%M UTC").astype("str")
    return minutes.fillna("an unknown day")


_PHRASES: Final = {"object": _object, "act": _act, "edit": _edit}
