"""Two ways to run the same night: this project's steps, and the parts that Airflow comes with."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from airflow.providers.salesforce.operators.bulk import SalesforceBulkOperator
from sqlalchemy import Engine
from upath import UPath

from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.session import SalesforceSession
from include.sync import nightly
from include.sync.clock import utc_now
from include.sync.preflight import Trigger, preflight

FIELD = "HasOptedOutOfEmail"
COLUMN = FIELD.lower()  # so the hook names it in a frame
CONNECTION = "salesforce"

Part = tuple[str, Callable[[], Any]]


def product(engine: Engine, folder: Path) -> Iterable[Part]:
    """The steps of the night as its tasks call them, each with a client of its own."""
    staging, now = UPath(folder), utc_now
    found: dict[str, Any] = {}

    def begin() -> None:
        trigger = Trigger("benchmark", None, False)
        found["run"] = preflight(engine, _client(), trigger, clock=now, announce=lambda _: None)

    yield "preflight", begin
    run = found["run"]
    yield "extract", lambda: nightly.extract_store(engine, staging, run, clock=now)
    for obj in SalesforceObject:
        yield (
            "extract",
            lambda obj=obj: nightly.extract_records(  # type: ignore[misc]
                engine, _client(), staging, run, obj, clock=now
            ),
        )
    yield "merge", lambda: nightly.merge(engine, _client(), staging, run, clock=now)
    yield "load", lambda: nightly.load_store(engine, staging, run, clock=now)
    yield "load", lambda: nightly.load_salesforce(engine, _client(), run, clock=now)
    yield "load", lambda: nightly.load_clears(engine, _client(), staging, run, clock=now)
    yield "verify", lambda: nightly.verify(engine, _client(), run, clock=now)
    yield "close", lambda: nightly.close(engine, staging, run, clock=now)


def _client() -> SalesforceClient:
    session = SalesforceSession(lambda http: SalesforceHook(CONNECTION, session=http).get_conn())
    return SalesforceClient(session)


def stock(engine: Engine, folder: Path) -> Iterable[Part]:
    """What Airflow and pandas offer: no life cycle, no groups, no evidence, nothing read back."""
    del folder  # keeps everything in memory
    hook, found = SalesforceHook(CONNECTION), {}  # type: ignore[var-annotated]

    def read_store() -> None:
        found["people"] = pd.read_sql(PEOPLE, engine)

    def read_records() -> None:
        found["records"] = pd.concat(
            hook.object_to_df(
                hook.make_query(
                    f"SELECT Id, {FIELD}, SystemModstamp, LastModifiedById FROM {obj}"
                )["records"]
            ).assign(object=str(obj.value))
            for obj in SalesforceObject
        )

    def merge() -> None:
        joined = found["people"].merge(
            found["records"], left_on="salesforce_id", right_on="id", how="inner"
        )
        joined["decision"] = joined.apply(_decide, axis="columns")
        found["decided"] = joined[joined["decision"].notna()]

    def write_audit() -> None:
        rows = found["decided"][["person_id", "id", "base", "is_opted_out", COLUMN, "decision"]]
        rows.to_sql("stock_audit", engine, if_exists="replace", index=False)

    def write_store() -> None:
        _acts(found["decided"]).to_sql(
            "unsubscribe", engine, schema="engagement", if_exists="append", index=False
        )

    def write_records() -> None:
        decided = found["decided"]
        to_salesforce = decided[decided["decision"] == "to salesforce"]
        for obj, rows in to_salesforce.groupby("object"):
            payload = [{"Id": each, FIELD: True} for each in rows["id"]]
            SalesforceBulkOperator(
                task_id="load",
                operation="update",
                object_name=str(obj),
                payload=payload,
                salesforce_conn_id=CONNECTION,
            ).execute({})

    yield "extract", read_store
    yield "extract", read_records
    yield "merge", merge
    yield "audit", write_audit
    yield "load", write_store
    yield "load", write_records


def _decide(row: Any) -> str | None:
    if row["is_opted_out"] == row[COLUMN]:
        return None
    return "to salesforce" if row["is_opted_out"] else "to store"


def _acts(decided: pd.DataFrame) -> pd.DataFrame:
    rows = decided[decided["decision"] == "to store"]
    return pd.DataFrame(
        {
            "person_id": rows["person_id"],
            "kind": "unsubscribe",
            "scope": "team",
            "origin": "Salesforce Sync",
            "caused_by": "salesforce:" + rows["id"] + f":{FIELD}",
            "occurred_at": datetime.now(UTC),
            "idempotency_key": "stock/" + rows["person_id"].astype(str),
        }
    )


PEOPLE = f"""
SELECT p.person_id, p.salesforce_id, p.is_opted_out, l.base
FROM engagement.person_opt_out AS p
LEFT JOIN opt_out_sync.link AS l
    ON l.person_id = p.person_id AND l.record_id = p.salesforce_id AND l.field = '{FIELD}'
"""
WAYS = {"product": product, "stock": stock}
