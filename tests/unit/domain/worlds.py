"""Small worlds for the merge: literals in, frames out.

A test lists what there is, in any order; `decide` sorts it into the frames, merges, and checks what
must be true of every row whatever the rules say.

    decide(person(1), unsubscribe(1), record(A, IN), link(1, A, IN))
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from include.domain import ids, sentences
from include.domain.conflicts import SYNC_ORIGIN, Choices, Code, ConflictRule, Judgement
from include.domain.frames import Extract
from include.domain.merge import MergeResult, merge, records_in_question
from include.domain.values import SalesforceObject

OUT, IN, NEW = True, False, None
WINS, CHANGED = ConflictRule.OPT_OUT_WINS, ConflictRule.CHANGED_SIDE
EMAIL, SALES = "HasOptedOutOfEmail", "Sales_Opt_Out__c"
BOTH_FIELDS = (EMAIL, SALES)
EVERYWHERE = tuple(SalesforceObject)
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
COLLEAGUE, US = "005000000000001AAA", "005000000000009AAA"

_TIME = pa.timestamp("us", tz="UTC")
SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "people": {"person_id": pa.int64(), "salesforce_id": pa.string()},
    "opt_outs": {
        "act_id": pa.int64(),
        "person_id": pa.int64(),
        "at": _TIME,
        "scope": pa.string(),
        "origin": pa.string(),
        "caused_by": pa.string(),
    },
    "resubscribes": {
        "act_id": pa.int64(),
        "person_id": pa.int64(),
        "at": _TIME,
        "recorded_at": _TIME,
        "origin": pa.string(),
        "is_evidence": pa.bool_(),
        "is_accepted": pa.bool_(),
        "was_held": pa.bool_(),
    },
    "records": {
        "record_id": pa.string(),
        "object": pa.string(),
        EMAIL: pa.bool_(),
        SALES: pa.bool_(),
        "is_deleted": pa.bool_(),
        "master_record_id": pa.string(),
        "is_converted": pa.bool_(),
        "converted_contact_id": pa.string(),
        "is_person_account": pa.bool_(),
        "account_id": pa.string(),
        "last_modified_at": _TIME,
        "last_modified_by": pa.string(),
    },
    "links": {
        "person_id": pa.int64(),
        "record_id": pa.string(),
        "object": pa.string(),
        "field": pa.string(),
        "base": pa.bool_(),
        "base_since": _TIME,
        "state": pa.string(),
        "is_visible": pa.bool_(),
        "evidence_id": pa.int64(),
        "flips": pa.int64(),
    },
    "times": {"record_id": pa.string(), "field": pa.string(), "at": _TIME, "act_id": pa.int64()},
}


@dataclass(frozen=True)
class Row:
    """One row of one frame."""

    frame: str
    cells: dict[str, Any]


def ago(*, days=0, hours=0, minutes=0, seconds=0, microseconds=0):
    """The moment so long before the read."""
    return NOW - timedelta(
        days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds
    )


SAID, CONSENTED = ago(days=2), ago(hours=2)


def contact(number):
    return ids.to_18(f"0035e{number:010d}")


def lead(number):
    return ids.to_18(f"00Q5e{number:010d}")


A, B, C = contact(1), contact(2), contact(3)
L, M = lead(1), lead(2)


def person(person_id, salesforce_id=A):
    return Row("people", {"person_id": person_id, "salesforce_id": salesforce_id})


def unsubscribe(person_id, act_id=None, at=SAID, origin="Manual", scope="team", cause=None):
    """An opt-out that stands in the store. Act ids are ten times the person's, unless told."""
    return Row(
        "opt_outs",
        {
            "act_id": act_id or person_id * 10,
            "person_id": person_id,
            "at": at,
            "scope": scope,
            "origin": origin if cause is None else SYNC_ORIGIN,
            "caused_by": cause,
        },
    )


def evidence(person_id, act_id=None, at=CONSENTED, **more):
    """A documented consent. Act ids are ten times the person's plus five, unless told."""
    return Row(
        "resubscribes",
        {
            "act_id": act_id or person_id * 10 + 5,
            "person_id": person_id,
            "at": at,
            "recorded_at": at,
            "origin": "Manual",
            "is_evidence": True,
            "is_accepted": False,
            "was_held": False,
        }
        | more,
    )


def accepted(person_id, act_id=None, at=CONSENTED, **more):
    return evidence(person_id, act_id, at, is_accepted=True, **more)


def claim(person_id, act_id=None, at=CONSENTED, **more):
    """A resubscribe without evidence."""
    return evidence(person_id, act_id, at, is_evidence=False, **more)


def record(record_id, email=IN, sales=IN, **more):
    """A record that a colleague edited three days before the read."""
    return Row(
        "records",
        {
            "record_id": record_id,
            "object": "Lead" if record_id.startswith("00Q") else "Contact",
            EMAIL: email,
            SALES: sales,
            "is_deleted": False,
            "is_converted": False,
            "is_person_account": False,
            "last_modified_at": ago(days=3),
            "last_modified_by": COLLEAGUE,
        }
        | more,
    )


def deleted(record_id, email=IN, **more):
    return record(record_id, email, is_deleted=True, **more)


def merged(record_id, into, email=IN, **more):
    return record(record_id, email, is_deleted=True, master_record_id=into, **more)


def converted(record_id, into, email=IN, **more):
    return record(record_id, email, is_converted=True, converted_contact_id=into, **more)


def link(person_id, record_id, base, field=EMAIL, **more):
    """What the last run left; both sides agreed a week ago."""
    return Row(
        "links",
        {
            "person_id": person_id,
            "record_id": record_id,
            "object": "Lead" if record_id.startswith("00Q") else "Contact",
            "field": field,
            "base": base,
            "base_since": None if base is NEW else ago(days=7),
            "state": "active",
            "is_visible": True,
            "flips": 0,
        }
        | more,
    )


def history(record_id, at, field=EMAIL):
    """The field's history tells when it was ticked."""
    return Row("times", {"record_id": record_id, "field": field, "at": at})


def own_write(record_id, act_id, at, field=EMAIL):
    """We ticked the box, for this act."""
    values = {"record_id": record_id, "field": field, "at": at, "act_id": act_id}
    return Row("times", values)


def seen(record_id, field=EMAIL, at=None):
    """Name a box as a cause does."""
    stamp = f"@{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
    return f"salesforce:{record_id}:{field}{stamp}"


def extract(*rows: Row) -> Extract:
    return Extract(**{name: frame(name, rows) for name in SCHEMAS})


def frame(name, rows):
    """One frame in the types in which the steps stage it."""
    columns = {
        column: pa.array([r.cells.get(column) for r in rows if r.frame == name], kind)
        for column, kind in SCHEMAS[name].items()
    }
    return pd.DataFrame({c: pd.arrays.ArrowExtensionArray(a) for c, a in columns.items()})


def decide(
    *rows: Row,
    fields=(EMAIL,),
    rule=WINS,
    readable=None,
    read_at=NOW,
    **choices,
) -> MergeResult:
    """Merge what there is; every row of the result can be understood alone."""
    result = merge(
        extract(*rows),
        Choices(fields=fields, rule=rule, **choices),
        readable=dict.fromkeys(fields, EVERYWHERE) if readable is None else readable,
        read_at=read_at,
    )
    check_decisions(result.decisions, rule)
    check_judgements(result.judgements)
    return result


def in_question(*rows: Row, fields=(EMAIL,), **choices):
    found = records_in_question(
        extract(*rows),
        Choices(fields=fields, **choices),
        readable=dict.fromkeys(fields, EVERYWHERE),
        read_at=NOW,
    )
    return found["record_id"].tolist()


def check_decisions(decisions, rule):
    """Property 7: every decision has a code, a cause if it writes, and a sentence of its own.

    Only what no act did has no cause: a store that forgot an opt-out, when settings were changed.
    """
    assert set(decisions["code"]) <= {code.value for code in Code}
    assert (decisions["rule"] == rule.value).all()
    writes = decisions["target_store"].notna() | decisions["target_salesforce"].notna()
    forgotten = decisions["code"].eq("CLEARED_IN_STORE_ONLY") & decisions["target_store"].isna()
    assert decisions.loc[writes & ~forgotten, "cause"].notna().all()
    check_sentences(decisions["reason"])


def check_judgements(judgements):
    assert set(judgements["code"]) <= {each.value for each in Judgement}
    assert judgements["act_id"].is_unique
    check_sentences(judgements["reason"])


def check_sentences(reasons):
    for reason in reasons:
        assert reason.endswith("."), reason
        assert reason != sentences._PLAIN
        assert not {"{", "}", "<NA>", "None", "nan"} & set(reason.replace("(", " ").split())


def plain(value):
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


def targets(row):
    """What a decision does: to the store, to Salesforce, to the base."""
    return tuple(plain(row[c]) for c in ("target_store", "target_salesforce", "new_base"))


def told(result):
    """Every decision in short: person, record, field, code, what it does."""
    return [
        (row["person_id"], plain(row["record_id"]), plain(row["field"]), row["code"], *targets(row))
        for _, row in result.decisions.iterrows()
    ]


def codes(result):
    return result.decisions["code"].tolist()


def writes(result):
    """What is written: by person to the store, by record and field to Salesforce."""
    found = {}
    for row in result.decisions.to_dict("records"):
        for side, key in (
            ("target_store", row["person_id"]),
            ("target_salesforce", (row["record_id"], row["field"])),
        ):
            if pd.notna(row[side]):
                found.setdefault(key, set()).add(bool(row[side]))
    return {key: values.pop() if len(values) == 1 else values for key, values in found.items()}


def verdicts(result):
    """Every judgement in short: verdict, code, what is in the way."""
    return {
        row["act_id"]: (row["verdict"], row["code"], plain(row["in_the_way"]))
        for _, row in result.judgements.iterrows()
    }
