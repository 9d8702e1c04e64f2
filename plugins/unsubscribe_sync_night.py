"""The bodies of the nightly tasks: Connections in, use case called, ids and counts out.

Each function imports its use case when it runs: parsing a DAG file must not import pandas.
"""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import unsubscribe_sync_alerts as alerts
import unsubscribe_sync_connections as connections
from unsubscribe_sync_defaults import from_environment

from include.domain.values import SalesforceObject

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol as DagRun
    from airflow.sdk.types import RuntimeTaskInstanceProtocol as RuntimeTaskInstance

Counts = dict[str, Any]

ATTEMPT = "attempt"  # XCom key: the run id of this execution of preflight
SHARDS_AT_ONCE = int(from_environment("OPT_OUT_SYNC_SHARDS_AT_ONCE", 4))
"""How many shards of a night are decided at a time: each takes some 0.9 GB of its worker."""


def preflight(
    run_id: str,
    params: dict[str, Any],
    ti: "RuntimeTaskInstance",
    dag_run: "DagRun",
    data_interval_start: datetime | None = None,
    data_interval_end: datetime | None = None,
) -> int | None:
    """Take the lease and check what can be read and written; skip the night while switched off."""
    from include.sync.preflight import Patience, Trigger, require_known
    from include.sync.preflight import preflight as check

    require_known(params)
    # A run started by hand is named by its start; the UI's form would name it after last night.
    is_by_hand, is_backfill = dag_run.run_type == "manual", dag_run.run_type == "backfill"
    interval = None if is_by_hand else _interval(data_interval_start, data_interval_end)
    return check(
        connections.store(),
        connections.salesforce(),
        Trigger(
            run_id,
            interval,
            params["plan_only"],
            kind="replay" if is_backfill else "night",
        ),
        clock=connections.clock(),
        announce=partial(ti.xcom_push, ATTEMPT),
        # The night that is due looks all the time, and so goes before those of a backfill.
        patience=Patience() if is_backfill else Patience(longest=1200.0),
    )


def extract_store(sync_run_id: int) -> Counts:
    """Stage the opt-out state of every person of the store."""
    from include.sync import nightly

    return nightly.extract_store(
        connections.store(), connections.staging(), sync_run_id, clock=connections.clock()
    )


def extract_records(sync_run_id: int, obj: str) -> Counts:
    """Stage the opt-out field of every record of one Salesforce object, deleted ones included."""
    from include.sync import nightly

    return nightly.extract_records(
        connections.store(),
        connections.salesforce(),
        connections.staging(),
        sync_run_id,
        SalesforceObject(obj),
        clock=connections.clock(),
    )


def split(sync_run_id: int) -> list[int]:
    """Add what earlier nights know, and deal everything out; return the numbers of the shards."""
    from include.deployment import Deployment
    from include.sync import nightly

    counts = nightly.split(
        connections.store(),
        connections.staging(),
        sync_run_id,
        shard_rows=Deployment.from_environment().shard_rows,
        clock=connections.clock(),
    )
    return list(range(counts["shards"]))


def decide(sync_run_id: int, shard: int) -> Counts:
    """Decide every link of one shard."""
    from include.sync import nightly

    return nightly.decide(
        connections.store(),
        connections.salesforce(),
        connections.staging(),
        sync_run_id,
        shard,
        clock=connections.clock(),
    )


def merge(sync_run_id: int) -> Counts:
    """Record what was decided and what changes, with its inputs and its reason."""
    from include.sync import nightly

    return nightly.merge(
        connections.store(), connections.staging(), sync_run_id, clock=connections.clock()
    )


def load_store(sync_run_id: int) -> Counts:
    """Record an unsubscribe for everyone who is opted out in Salesforce only."""
    from include.sync import nightly

    return nightly.load_store(
        connections.store(), connections.staging(), sync_run_id, clock=connections.clock()
    )


def load_salesforce(sync_run_id: int) -> Counts:
    """Set the opt-out fields of every record whose group is opted out."""
    from include.sync import nightly

    return nightly.load_salesforce(
        connections.store(), connections.salesforce(), sync_run_id, clock=connections.clock()
    )


def load_clears(sync_run_id: int) -> Counts:
    """Clear whom accepted evidence allows to be mailed again, one record at a time."""
    from include.sync import nightly

    return nightly.load_clears(
        connections.store(),
        connections.salesforce(),
        connections.staging(),
        sync_run_id,
        clock=connections.clock(),
    )


def verify(sync_run_id: int) -> Counts:
    """Read back what was written: only what is seen counts as confirmed."""
    from include.sync import nightly

    return nightly.verify(
        connections.store(), connections.salesforce(), sync_run_id, clock=connections.clock()
    )


def close(sync_run_id: int) -> Counts:
    """Close the night: every planned write has an outcome, and the bases move."""
    from include.sync import nightly

    return nightly.close(
        connections.store(), connections.staging(), sync_run_id, clock=connections.clock()
    )


def report(attempt: int | None) -> str:
    """Say what happened in one sentence, and decide the colour of the run."""
    from include.sync import report as reports

    try:
        return reports.report(connections.store(), attempt, clock=connections.clock())
    finally:
        alerts.look()


def _interval(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime] | None:
    return None if start is None or end is None else (start, end)
