"""One sentence per decision, for the person who asks "why is this person opted out?".

A sentence stands alone: who said no, where and when, and what the sync does about it. It never
contains an address or a name.
"""

from datetime import datetime
from string import Formatter
from typing import Final

import pandas as pd

from include.domain.conflicts import Code, Judgement

_MINUTE: Final = "%Y-%m-%d %H:%M UTC"
_SET_STORE: Final = "so the store is set to opted out"
_SET_SALESFORCE: Final = "so Salesforce is set to opted out"
_CLEAR_STORE: Final = "so the store is cleared"
_CLEAR_SALESFORCE: Final = "so Salesforce is cleared"
_NO_PERMISSION: Final = (
    "a clear on one side is no permission to mail. To make it last, record the person's consent: "
    "resubscribe"
)
_EVIDENCE: Final = (
    "The person's consent to be mailed again (act {evidence}) is newer than every opt-out here"
)

_SENTENCES: Final = {
    (Code.UNSUBSCRIBED_IN_STORE, "salesforce"): (
        f"The person opted out in the store {{act}}; the Salesforce {{object}} did not show it, "
        f"{_SET_SALESFORCE}."
    ),
    (Code.OPTED_OUT_IN_SALESFORCE, "store"): (
        f"The {{object}} was opted out in Salesforce {{edit}}; the store did not know it, "
        f"{_SET_STORE}."
    ),
    (Code.OPTED_OUT_IN_SALESFORCE, ""): (
        "The {object} was opted out in Salesforce {edit}; the store knows it already."
    ),
    (Code.FIRST_SEEN_OPT_OUT, "salesforce"): (
        f"Compared for the first time: the person is opted out in the store {{act}} and the "
        f"Salesforce {{object}} is not, {_SET_SALESFORCE}."
    ),
    (Code.FIRST_SEEN_OPT_OUT, "store"): (
        f"Compared for the first time: the {{object}} is opted out in Salesforce {{edit}} and the "
        f"person is not in the store, {_SET_STORE}."
    ),
    (Code.FIRST_SEEN_OPT_OUT, ""): (
        "Compared for the first time: the {object} is opted out in Salesforce {edit}; the store "
        "knows it already."
    ),
    (Code.CLEARED_IN_STORE_ONLY, "store"): (
        "Both sides had agreed on opted out since {base}; the store was cleared without evidence "
        f"while Salesforce, as last read, says opted out, {_SET_STORE} again: {_NO_PERMISSION}."
    ),
    (Code.CLEARED_IN_STORE_ONLY, ""): (
        "Both sides had agreed on opted out since {base}; the store was cleared without evidence "
        "while Salesforce says opted out. The row of another field of this person sets the store "
        "to opted out again."
    ),
    (Code.CLEARED_IN_STORE_ONLY, "clear salesforce"): (
        "Both sides had agreed on opted out since {base}; the store was cleared since, and by the "
        f"rule changed_side the side that changed decides, {_CLEAR_SALESFORCE}."
    ),
    (Code.CLEARED_IN_STORE_ONLY, "clear both"): (
        "Both sides had agreed on opted out since {base}; somebody resubscribed the person in the "
        "store since, and by the rule changed_side the side that changed decides, so both sides "
        "are cleared."
    ),
    (Code.CLEARED_IN_SALESFORCE_ONLY, "salesforce"): (
        "Both sides had agreed on opted out since {base}; the box was cleared in Salesforce {edit} "
        f"by {{editor}} while the store still says opted out, {_SET_SALESFORCE} again: "
        f"{_NO_PERMISSION}."
    ),
    (Code.CLEARED_IN_SALESFORCE_ONLY, ""): (
        "Both sides had agreed on opted out since {base}; the box was cleared in Salesforce {edit} "
        "by {editor}, and by the rule changed_side the side that changed decides. The row of "
        "another field of this person clears the store."
    ),
    (Code.CLEARED_IN_SALESFORCE_ONLY, "clear store"): (
        "Both sides had agreed on opted out since {base}; the box was cleared in Salesforce {edit} "
        "by {editor}, and by the rule changed_side the side that changed decides, "
        f"{_CLEAR_STORE}."
    ),
    (Code.BOTH_OPTED_OUT, ""): (
        "Both sides opted the person out since they last agreed; nothing to write."
    ),
    (Code.BOTH_CLEARED, ""): "Both sides cleared the opt-out since they last agreed.",
    (Code.BOTH_CLEARED, "clear store"): (
        "Both sides cleared the opt-out since they last agreed; by the rule changed_side the "
        f"resubscribe counts without evidence, {_CLEAR_STORE}."
    ),
    (Code.AGREED, "clear store"): (
        "The person opted out and resubscribed in the store since both sides last agreed; by the "
        f"rule changed_side that counts without evidence, {_CLEAR_STORE}."
    ),
    (Code.FIRST_SEEN_AGREED, ""): "Compared for the first time: both sides already agree.",
    (Code.FIRST_SEEN_AGREED, "clear store"): (
        "Compared for the first time: the person resubscribed in the store, which by the rule "
        f"changed_side counts without evidence, {_CLEAR_STORE}."
    ),
    (Code.RESUBSCRIBED, "clear both"): f"{_EVIDENCE}, so both sides are cleared.",
    (Code.RESUBSCRIBED, "clear store"): f"{_EVIDENCE}, {_CLEAR_STORE}.",
    (Code.RESUBSCRIBED, "clear salesforce"): f"{_EVIDENCE}, {_CLEAR_SALESFORCE}.",
    (Code.RESUBSCRIBED, ""): f"{_EVIDENCE}; nothing is left to clear.",
    (Code.RESUBSCRIBE_WAITING, ""): (
        "Accepted evidence ends this opt-out, but not everything could be read tonight: nothing is "
        "written until it can."
    ),
    (Code.FOLLOWS_GROUP, "salesforce"): (
        "The person is opted out ({cause}); this field of the {object} did not show it, "
        f"{_SET_SALESFORCE}."
    ),
    (Code.FOLLOWS_GROUP, "store"): (
        f"The person is opted out in Salesforce ({{cause}}), {_SET_STORE}."
    ),
    (Code.FOLLOWS_GROUP, "both"): (
        "The person is opted out ({cause}), so the store and this field of the {object} are set to "
        "opted out."
    ),
    (Code.FOLLOWS_GROUP, ""): "The person is opted out ({cause}); both sides know it already.",
    (Code.SHARED_RECORD, "salesforce"): (
        "Person {other} is linked to the same {object} and is opted out ({cause}), "
        f"{_SET_SALESFORCE}."
    ),
    (Code.SHARED_RECORD, "store"): (
        "Person {other} is linked to the same {object} and is opted out ({cause}); a record has "
        f"one box, {_SET_STORE} for this person, too."
    ),
    (Code.SHARED_RECORD, "both"): (
        "Person {other} is linked to the same {object} and is opted out ({cause}); a record has "
        "one box, so the store and Salesforce are set to opted out for this person, too."
    ),
    (Code.SHARED_RECORD, ""): (
        "Person {other} is linked to the same {object} and is opted out ({cause}); both sides "
        "know it already."
    ),
    (Code.TUG_OF_WAR, ""): (
        "Salesforce undid our opt-out in three closed nights in a row: it is no longer written "
        "there, and the store stays opted out, until somebody finds what undoes it and releases "
        "the person: release."
    ),
    (Code.TUG_OF_WAR, "store"): (
        "Person {other} is linked to the same {object} and is opted out ({cause}), "
        f"{_SET_STORE} for this person, too. Salesforce undid our opt-out in three closed nights "
        "in a row: it is no longer written there, until somebody finds what undoes it and releases "
        "the person: release."
    ),
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
    (Code.CARRIED_OVER_CONVERSION, ""): (
        "The Lead has been converted: the person is linked to what it became from now on."
    ),
    (Code.CARRIED_OVER_MERGE, "store"): (
        f"The {{object}} was opted out and has been merged into another record: an opt-out "
        f"survives a merge, {_SET_STORE}."
    ),
    (Code.CARRIED_OVER_MERGE, ""): (
        "The {object} has been merged into another record: the person is linked to that one from "
        "now on."
    ),
    (Code.RELINKED, "store"): (
        "The person got another Salesforce Id; the {object} that they had before was opted out, "
        f"{_SET_STORE}."
    ),
    (Code.RELINKED, ""): ("The person got another Salesforce Id: the link to this {object} ends."),
}

_UNLINKED: Final = {
    Code.NO_SALESFORCE_ID: (
        "The person is opted out in the store and has no Salesforce Id: there is no record to "
        "mark. The opt-out is carried over as soon as the person gets one."
    ),
    Code.NOT_VISIBLE: (
        "The person is opted out in the store, and Salesforce does not return the record that "
        "their Salesforce Id names. Put the Id of the living record into the store; the opt-out "
        "is carried over the next night."
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

_JUDGED: Final = {
    Judgement.RESUBSCRIBED: (
        "Accepted: the consent is newer than every opt-out, so both sides are cleared."
    ),
    Judgement.NEWER_OPT_OUT: (
        "Refused: the store has an opt-out from after the consent ({way}). Only a consent given "
        "after that counts; record it then."
    ),
    Judgement.OPTED_OUT_IN_SALESFORCE: (
        "Refused: Salesforce was opted out ({way}) after the consent, or so shortly before that "
        "the clocks cannot tell. Only a consent given after that counts; record it then."
    ),
    Judgement.EDITED_SINCE: (
        "Refused: Salesforce says opted out ({way}) and the record was edited after the consent or "
        "shortly before, so the opt-out may be newer. {again}"
    ),
    Judgement.COMPLAINT: (
        "Refused: the person complained ({way}). A complaint ends only when the person opts in "
        "themselves; record that with --by-person."
    ),
    Judgement.OTHER_PERSON: (
        "Refused: another person is linked to the same Salesforce record and is opted out ({way}). "
        "Record their consent, too, or give each person a record of their own."
    ),
    Judgement.NEWER_EVIDENCE: "Refused: a newer consent of the person ({way}) takes its place.",
    Judgement.EXPIRED: (
        "Refused: it could not be judged in time. If the consent still stands, record it again."
    ),
    Judgement.NOT_READ: (
        "Waiting: a field or record of the person could not be read in Salesforce, so nobody knows "
        "whether there is a newer opt-out. It is judged as soon as everything can be read."
    ),
}


HELD: Final = (
    "Held: so many clears at once wait for a person, who is asked in Airflow (Required Actions)."
)
REJECTED: Final = (
    "Rejected: a person looked at this clear together with others and said no, so the opt-out "
    "stays. If it should end all the same, record a new consent; if so many clears are normal "
    "here, raise held_clears_minimum or held_clears_fraction in the settings."
)


def explain(decisions: pd.DataFrame) -> pd.Series:
    """Return one sentence per decision (one row per link, columns as in `merge_audit`)."""
    sentence = pd.Series(_PLAIN, index=decisions.index, dtype="str")
    kind = decisions["code"] + " " + _sides(decisions)
    occurring = set(kind)
    for (code, to), template in _SENTENCES.items():
        if f"{code} {to}" in occurring:
            is_one = kind == f"{code} {to}"
            sentence.loc[is_one] = _fill(template, decisions[is_one])
    return sentence


_PLAIN: Final = "Decided by the rule; the values and targets of this row say what is done."


def _sides(decisions: pd.DataFrame) -> pd.Series:
    """Say in a word what is written: where, and whether it clears."""
    store, salesforce = decisions["target_store"], decisions["target_salesforce"]
    to_store, to_salesforce = store.notna(), salesforce.notna()
    side = pd.Series("", index=decisions.index, dtype="str")
    side = side.mask(to_store, "store").mask(to_salesforce, "salesforce")
    side = side.mask(to_store & to_salesforce, "both")
    clears = (store.fillna(True) & salesforce.fillna(True)).astype(bool)
    return side.where(clears, "clear " + side)


def of_opt_out(code: Code, obj: str, at: datetime, origin: str) -> str:
    """Return the sentence of one opt-out that Salesforce does not show, as `explain` has it."""
    act = f"on {at.strftime(_MINUTE)} ({origin})"
    return _SENTENCES[code, "salesforce"].format(act=act, object=obj)


def explain_unlinked(codes: pd.Series) -> pd.Series:
    """Return one sentence per person whose opt-out cannot reach Salesforce."""
    return codes.map({code.value: text for code, text in _UNLINKED.items()}).astype("str")


def explain_judgements(judgements: pd.DataFrame) -> pd.Series:
    """Return one sentence per judged resubscribe: what is in the way, and when to try again."""
    sentence = pd.Series(None, index=judgements.index, dtype="str")
    for code, template in _JUDGED.items():
        is_one = judgements["code"] == code.value
        if is_one.any():
            sentence.loc[is_one] = _fill(template, judgements[is_one])
    return sentence


def _fill(template: str, rows: pd.DataFrame) -> pd.Series:
    """Fill a template for all rows at once."""
    sentence = pd.Series("", index=rows.index, dtype="str")
    for text, name, _, _ in Formatter().parse(template):
        sentence = sentence + text
        if name:
            sentence = sentence + _PHRASES[name](rows)
    return sentence


def _object(rows: pd.DataFrame) -> pd.Series:
    return rows["object"].fillna("record")


def _act(rows: pd.DataFrame) -> pd.Series:
    """When and how the person said no."""
    origin = rows["store_origin"].astype("str")
    return ("on " + _minute(rows["store_opted_out_at"]) + " (" + origin + ")").fillna(
        "by what joined from another record"
    )


def _edit(rows: pd.DataFrame) -> pd.Series:
    """When at the latest: Salesforce dates the record, not the field; or exactly, if known."""
    exact = rows["salesforce_time_source"].isin(["history", "own write"])
    latest = rows["salesforce_opted_out_before"].fillna(rows["salesforce_modified_at"])
    return "on " + _minute(latest) + pd.Series(" or before", index=rows.index).mask(exact, "")


def _editor(rows: pd.DataFrame) -> pd.Series:
    return "user " + rows["salesforce_modified_by"].astype("str").fillna("unknown")


def _base(rows: pd.DataFrame) -> pd.Series:
    return _minute(rows["base_since"])


def _evidence(rows: pd.DataFrame) -> pd.Series:
    return rows["evidence_id"].astype("Int64").astype("str").fillna("unknown")


def _other(rows: pd.DataFrame) -> pd.Series:
    return rows["shared_with"].astype("Int64").astype("str").fillna("unknown")


def _cause(rows: pd.DataFrame) -> pd.Series:
    return rows["cause"].astype("str").fillna("as both sides last agreed")


def _way(rows: pd.DataFrame) -> pd.Series:
    return rows["in_the_way"].astype("str").fillna("an opt-out that cannot be dated")


def _again(rows: pd.DataFrame) -> pd.Series:
    """When it is worth a new try; up to the next whole minute."""
    after = rows["retry_after"].dt.ceil("min")
    again = "Ask again and record the consent anew after " + _minute(after) + "."
    return again.where(
        after.notna(), "When that was is not known: somebody must clear the box in Salesforce."
    )


def _minute(times: pd.Series) -> pd.Series:
    minutes: pd.Series = times.dt.strftime(_MINUTE).astype("str")
    return minutes.fillna("an unknown day")


_PHRASES: Final = {
    "object": _object,
    "act": _act,
    "edit": _edit,
    "editor": _editor,
    "base": _base,
    "evidence": _evidence,
    "other": _other,
    "cause": _cause,
    "way": _way,
    "again": _again,
}
