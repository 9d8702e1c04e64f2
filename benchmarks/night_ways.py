"""Two ways to run the same night: this project's steps, and the parts that Airflow comes with."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from airflow.providers.salesforce.operators.bulk import SalesforceBulkOperator
from sqlalchemy import Engine
from upath import UPath

from include.deployment import Deployment
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.session import SalesforceSession
from include.sync import nightly
from include.sync.clock import utc_now
from include.sync.preflight import Trigger, preflight

FIELD = "HasOptedOutOfEmail"
COLUMN = FIELD.lower()  # so the hook names it in a frame
CONNECTION = "salesforce"

# Yields each part with the work to do, and is sent what that returned.
Parts = Generator[tuple[str, Callable[[], Any]], Any, None]


@dataclass(frozen=True)
class Way:
    """A way to run a night, and whether its parts share nothing but files and databases."""

    parts: Callable[[Engine, Path], Parts]
    in_processes: bool


def product(engine: Engine, folder: Path) -> Parts:
    """The steps of the night as its tasks call them, each with a client of its own."""
    staging, now = UPath(folder), utc_now
    rows = Deployment(staging=str(folder)).shard_rows

    def begin() -> int | None:
        trigger = Trigger("benchmark", None, False)
        return preflight(engine, _client(), trigger, clock=now, announce=lambda _: None)

    run = yield "preflight", begin
    yield "extract", lambda: nightly.extract_store(engine, staging, run, clock=now)
    for obj in SalesforceObject:
        yield (
            "extract",
            lambda obj=obj: nightly.extract_records(  # type: ignore[misc]
                engine, _client(), staging, run, obj, clock=now
            ),
        )
    dealt = yield "split", lambda: nightly.split(engine, staging, run, shard_rows=rows, clock=now)
    for shard in range(dealt["shards"]):
        yield (
            "decide",
            lambda shard=shard: nightly.decide(  # type: ignore[misc]
                engine, _client(), staging, run, shard, clock=now
            ),
        )
    yield "merge", lambda: nightly.merge(engine, staging, run, clock=now)
    yield "load", lambda: nightly.load_store(engine, staging, run, clock=now)
    yield "load", lambda: nightly.load_salesforce(engine, _client(), run, clock=now)
    yield "load", lambda: nightly.load_clears(engine, _client(), staging, run, clock=now)
    yield "verify", lambda: nightly.verify(engine, _client(), run, clock=now)
    yield "close", lambda: nightly.close(engine, staging, run, clock=now)


def _client() -> SalesforceClient:
    session = SalesforceSession(lambda http: SalesforceHook(CONNECTION, session=http).get_conn())
    return SalesforceClient(session)


class Stock:
    """What Airflow and pandas offer: no life cycle, no groups, no evidence, nothing read back.

    It keeps everything in memory, and writes down only what it changes.
    """

    def __init__(self, engine: Engine) -> None:
        """Prepare; nothing is read yet."""
        self.engine, self.hook = engine, SalesforceHook(CONNECTION)
        self.people = self.records = self.decided = pd.DataFrame()

    def parts(self) -> Parts:
        """Yield the work part by part."""
        yield "extract", self.read_store
        yield "extract", self.read_records
        yield "merge", self.merge
        yield "audit", self.write_audit
        yield "load", self.write_store
        yield "load", self.write_records

    def read_store(self) -> None:
        """Read people, their state and their base."""
        self.people = pd.read_sql(PEOPLE, self.engine)

    def read_records(self) -> None:
        """Read Contacts and Leads page by page."""
        found = (
            self.hook.object_to_df(self.hook.make_query(QUERY.format(obj.value))["records"])
            for obj in SalesforceObject
        )
        self.records = pd.concat(
            frame.assign(object=obj.value)
            for frame, obj in zip(found, SalesforceObject, strict=True)
        )

    def merge(self) -> None:
        """Join on strings, and ask a rule row by row."""
        joined = self.people.merge(
            self.records, left_on="salesforce_id", right_on="id", how="inner"
        )
        rule: Any = joined.apply(_decide, axis="columns")
        joined["decision"] = rule
        self.decided = joined[joined["decision"].notna()]

    def write_audit(self) -> None:
        """Write what was decided."""
        columns = ["person_id", "id", "base", "is_opted_out", COLUMN, "decision"]
        self.decided[columns].to_sql("stock_audit", self.engine, if_exists="replace", index=False)

    def write_store(self) -> None:
        """Opt out in the store."""
        _acts(self.decided).to_sql(
            "unsubscribe", self.engine, schema="engagement", if_exists="append", index=False
        )

    def write_records(self) -> None:
        """Opt out in Salesforce."""
        to_salesforce = self.decided[self.decided["decision"] == "to salesforce"]
        for obj, rows in to_salesforce.groupby("object"):
            SalesforceBulkOperator(
                task_id="load",
                operation="update",
                object_name=str(obj),
                payload=[{"Id": each, FIELD: True} for each in rows["id"]],
                salesforce_conn_id=CONNECTION,
            ).execute({})


def stock(engine: Engine, folder: Path) -> Parts:
    """Run the same night with Airflow's own parts; `folder` is not needed."""
    del folder
    yield from Stock(engine).parts()


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


QUERY = "SELECT Id, HasOptedOutOfEmail, SystemModstamp, LastModifiedById FROM {}"
PEOPLE = """
SELECT p.person_id, p.salesforce_id, p.is_opted_out, l.base
FROM engagement.person_opt_out AS p
LEFT JOIN opt_out_sync.link AS l
    ON l.person_id = p.person_id AND l.record_id = p.salesforce_id
    AND l.field = 'HasOptedOutOfEmail'
"""
WAYS = {"product": Way(product, True), "stock": Way(stock, False)}
