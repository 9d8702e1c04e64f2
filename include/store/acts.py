"""Acts that the sync adds to the store; and what it changes there: a person's Salesforce Id.

Everything goes through `record_sync_act(...)`, `record_consent(...)`, `relink_person(...)` and
`lock_people(...)`, which run with their owner's rights. Acts are only ever added.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, text

from include.store.bulk import fetch_frame, staged
from include.store.database import sql_file
from include.store.errors import IncompleteEvidenceError, UnknownPersonError, database_errors

HERE = Path(__file__).parent
ASKED_OPT_OUT = pa.schema(
    [("person_id", pa.int64()), ("caused_by", pa.string()), ("idempotency_key", pa.string())]
)
ASKED_CLEAR = pa.schema(
    [
        ("person_id", pa.int64()),
        ("caused_by", pa.string()),
        ("occurred_at", pa.timestamp("us", "UTC")),
        ("idempotency_key", pa.string()),
    ]
)
ASKED_RELINK = pa.schema(
    [("person_id", pa.int64()), ("from_record_id", pa.string()), ("to_record_id", pa.string())]
)
ASKED_ACT = pa.schema([("act_id", pa.int64())])
RECORDED = {"person_id": "int64", "act_id": "Int64", "already_opted_out": "bool"}
CLEARED = {"person_id": "int64", "act_id": "Int64", "is_superseded": "bool"}
RELINKED = {"person_id": "int64", "is_relinked": "bool"}
FOUND = {
    "act_id": "int64",
    "person_id": "int64",
    "is_standing": "bool",
    "has_other_opt_out": "bool",
}


@database_errors()
def record_opt_outs(
    conn: Connection,
    rows: pd.DataFrame,
    *,
    occurred_at: datetime,
    scopes: Sequence[str] = ("team",),
    with_bounces: bool = False,
) -> pd.DataFrame:
    """Record an unsubscribe of the sync for each person who exists and is not opted out.

    Args:
        conn: in a transaction; the acts are part of it.
        rows: one row per person: `person_id` int, `caused_by` and `idempotency_key` str.
        occurred_at: start of the extraction that saw the cause (aware).
        scopes: what counts as opted out.
        with_bounces: whether bounces do.

    Returns:
        One row per row of `rows`: `person_id` int64, `act_id` Int64 (null: the person is gone),
        `already_opted_out` bool (then `act_id` is the act that opted the person out).
        Repeating the call adds nothing.

    Raises:
        ValueError: a person is asked for twice.
    """
    _require_one_row_per_person(rows)
    with staged(conn, "asked_opt_out", rows, ASKED_OPT_OUT):
        statement = sql_file(HERE, "record_opt_outs")
        values = {
            "person_ids": [int(each) for each in rows["person_id"]],
            "occurred_at": occurred_at,
            "scopes": list(scopes),
            "with_bounces": with_bounces,
        }
        return fetch_frame(conn.execute(statement, values), RECORDED)


@database_errors()
def record_clears(
    conn: Connection,
    rows: pd.DataFrame,
    *,
    known: Iterable[int],
    scopes: Sequence[str] = ("team",),
    with_bounces: bool = False,
) -> pd.DataFrame:
    """End opt-outs, unless somebody opted out since the plan was made.

    Nobody can add an act for these people until the transaction ends. A clear that carries evidence
    ends whatever that is newer than; any other ends what the plan knew, and nothing else.

    Args:
        conn: in a transaction; the acts are part of it.
        rows: one row per person: `person_id` int, `caused_by` str (`act:<id>` of the resubscribe
            that it carries, or `salesforce:<record>:<field>` of a box that was cleared there),
            `occurred_at` timestamp, UTC (of that resubscribe), `idempotency_key` str.
        known: ids of the unsubscribes of these people that the plan was made from. What another
            transaction added meanwhile is not among them, whenever that began.
        scopes: which opt-outs count.
        with_bounces: whether bounces do.

    Returns:
        One row per row of `rows`: `person_id` int64, `act_id` Int64 (null: superseded, or the
        person is gone), `is_superseded` bool: an opt-out in scope stands that this would not end
        or that the plan did not know, or whoever gave the resubscribe was erased. Repeating the
        call adds nothing and returns the acts of the first one.

    Raises:
        ValueError: a person is asked for twice.
    """
    _require_one_row_per_person(rows)
    ids = sorted(int(each) for each in rows["person_id"])
    conn.execute(text("SELECT engagement.lock_people(:ids)"), {"ids": ids})
    # A second statement on purpose: it must see what was committed while the locks were waited for.
    with staged(conn, "asked_clear", rows, ASKED_CLEAR):
        values = {
            "known": [int(each) for each in known],
            "scopes": list(scopes),
            "with_bounces": with_bounces,
        }
        return fetch_frame(conn.execute(sql_file(HERE, "record_clears"), values), CLEARED)


@database_errors()
def record_resubscribe(
    conn: Connection,
    *,
    person_id: int,
    reason: str,
    actor: str,
    reference: str,
    approver: str | None,
    by_person: bool,
    occurred_at: datetime,
    idempotency_key: str,
) -> int:
    """Record a person's consent to be mailed again, and return the act's id.

    It ends nothing by itself: a run judges it. Repeating the call returns the same id.

    Args:
        conn: in a transaction.
        person_id: who consented.
        reason: why they may be mailed again.
        actor: who recorded it.
        reference: where it is documented.
        approver: who approved it, if anybody had to.
        by_person: the person opted in themselves; only that ends a complaint.
        occurred_at: when they consented (aware).
        idempotency_key: names this consent.

    Raises:
        IncompleteEvidenceError: reason, actor or reference is blank.
        UnknownPersonError: there is no such person.
    """
    proof = {"reason": reason, "actor": actor, "reference": reference}
    blank = [name for name, value in proof.items() if not value.strip()]
    if blank:
        raise IncompleteEvidenceError(
            f"{', '.join(blank)} must not be blank: consent counts only with reason, actor and "
            "reference"
        )
    values = {
        "person_id": person_id,
        "origin": "Clicked Link" if by_person else "Manual",
        "approver": approver,
        "occurred_at": occurred_at,
        "idempotency_key": idempotency_key,
        **proof,
    }
    act_id: int | None = conn.execute(text(RESUBSCRIBE), values).scalar_one()
    if act_id is None:
        raise UnknownPersonError(f"person {person_id} is not in the store: nothing was recorded")
    return act_id


@database_errors()
def relink_people(conn: Connection, rows: pd.DataFrame) -> pd.DataFrame:
    """Correct the Salesforce Id of people whose record lives on as another one.

    Args:
        conn: in a transaction.
        rows: one row per person: `person_id` int, `from_record_id`, `to_record_id` (18 characters).

    Returns:
        One row per row of `rows`: `person_id` int64, `is_relinked` bool; false if the person is
        gone or names another record by now. Repeating the call relinks nobody.
    """
    with staged(conn, "asked_relink", rows, ASKED_RELINK):
        return fetch_frame(conn.execute(sql_file(HERE, "relink_people")), RELINKED)


@database_errors()
def acts_of(conn: Connection, act_ids: Iterable[int]) -> pd.DataFrame:
    """Tell whether unsubscribes still stand, and whether their person has opted out otherwise.

    Returns:
        One row per act that exists: `act_id`, `person_id` int64, `is_standing` bool,
        `has_other_opt_out` bool (an act that the sync did not write stands, of any scope).
    """
    asked = pd.DataFrame({"act_id": pd.Series(list(act_ids), dtype="int64")})
    with staged(conn, "asked_act", asked, ASKED_ACT):
        return fetch_frame(conn.execute(sql_file(HERE, "acts_of")), FOUND)


@database_errors()
def acted_since(conn: Connection, act_ids: Iterable[int]) -> set[int]:
    """Return the persons of some acts who have a newer act that is not the sync's."""
    ids = [int(each) for each in act_ids]
    return {*conn.execute(text(ACTED_SINCE), {"act_ids": ids}).scalars()}


ACTED_SINCE = """
SELECT DISTINCT done.person_id
FROM engagement.unsubscribe AS done
JOIN engagement.unsubscribe AS newer ON newer.person_id = done.person_id AND newer.id > done.id
WHERE done.id = ANY (:act_ids) AND newer.origin <> 'Salesforce Sync'
"""


def _require_one_row_per_person(rows: pd.DataFrame) -> None:
    if not rows["person_id"].is_unique:
        raise ValueError("rows must have one row per person")


RESUBSCRIBE = """
SELECT engagement.record_consent(
    :person_id, :origin, :reason, :actor, :approver, :reference, :occurred_at, :idempotency_key)
"""
