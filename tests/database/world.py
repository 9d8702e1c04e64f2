"""Small worlds for the database tests: people, acts, runs, frames."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, text

from include.audit import runs
from include.audit.runs import Run

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # 20:00 on the 22nd in Los Angeles
NIGHT = date(2026, 11, 22)
INTERVAL = (NOW - timedelta(days=1), NOW)
ORG = "00D000000000001AAA"
FIELD = "HasOptedOutOfEmail"
CANARY = "canary.o'brien@example.com"


def record(number: int) -> str:
    return f"003{number:012d}AAA"


def add_people(conn: Connection, count: int) -> list[int]:
    """People 1..count, with the canary's address and a record each."""
    rows = conn.execute(
        text(
            "INSERT INTO engagement.person (email, salesforce_id) "
            "SELECT :email, '003' || lpad(n::text, 12, '0') || 'AAA' "
            "FROM generate_series(1, :count) AS n RETURNING id"
        ),
        {"email": CANARY, "count": count},
    )
    return list(rows.scalars())


def add_act(conn: Connection, person_id: int, **columns: Any) -> int:
    """An own unsubscribe of the team scope, unless columns say otherwise."""
    values = {
        "kind": "unsubscribe",
        "scope": "team",
        "origin": "Clicked Link",
        "caused_by": None,
        "occurred_at": NOW,
        "recorded_at": NOW,
    } | columns
    names = ["person_id", *values]
    key = f"key-{person_id}-{conn.execute(text('SELECT txid_current()')).scalar()}-{len(KEYS)}"
    KEYS.append(key)
    act_id: int = conn.execute(
        text(
            f"INSERT INTO engagement.unsubscribe ({', '.join(names)}, idempotency_key) "
            f"VALUES ({', '.join(':' + name for name in names)}, :key) RETURNING id"
        ),
        values | {"person_id": person_id, "key": key},
    ).scalar_one()
    return act_id


KEYS: list[str] = []
BOX = f"salesforce:{record(1)}:{FIELD}"  # a cause: the opt-out field of a record


def add_resubscribe(conn: Connection, person_id: int, **columns: Any) -> int:
    """Evidence of a colleague, unless columns say otherwise."""
    proof = {"reason": "asked by phone", "actor": "Ada", "evidence_ref": "CASE-1"}
    return add_act(conn, person_id, **{"kind": "resubscribe", "origin": "Manual"} | proof | columns)


def add_clear(conn: Connection, person_id: int, cause: int | str, **columns: Any) -> int:
    """A clear by the sync that carries an act (its id) or a cleared box (the whole cause)."""
    caused_by = f"act:{cause}" if isinstance(cause, int) else cause
    values = {"kind": "resubscribe", "origin": "Salesforce Sync", "caused_by": caused_by}
    return add_act(conn, person_id, **values | columns)


def standing(conn: Connection) -> list[int]:
    """Ids of the unsubscribes that stand."""
    query = "SELECT act_id FROM engagement.standing_opt_out ORDER BY act_id"
    return list(conn.execute(text(query)).scalars())


def open_run(
    engine: Engine, airflow_run_id: str = "one", now: datetime = NOW, *, plan_only: bool = False
) -> Run:
    run = runs.open_run(
        engine, airflow_run_id=airflow_run_id, interval=INTERVAL, plan_only=plan_only, now=now
    )
    return runs.bind_org(engine, run, ORG, now=now)


def decisions(persons: Sequence[int], **columns: Any) -> pd.DataFrame:
    """One decision per person about the record of the same number; base moves to opted out."""
    values = {
        "object": "Contact",
        "field": FIELD,
        "store_is_opted_out": True,
        "salesforce_is_opted_out": False,
        "target_salesforce": True,
        "new_base": True,
        "rule": "opt_out_wins",
        "code": "UNSUBSCRIBED_IN_STORE",
        "reason": "The person unsubscribed in the store.",
    } | columns
    return pd.DataFrame({"person_id": persons, "record_id": [record(p) for p in persons]}).assign(
        **values
    )


def outcomes(persons: Sequence[int], outcome: str, **columns: Any) -> pd.DataFrame:
    """One outcome per person of the write of an opt-out to Salesforce."""
    values = {
        "object": "Contact",
        "field": FIELD,
        "side": "salesforce",
        "target": True,
        "outcome": outcome,
    } | columns
    return pd.DataFrame({"person_id": persons, "record_id": [record(p) for p in persons]}).assign(
        **values
    )
