"""The tasks of the push: one that waits in the triggerer, one that drains the outbox."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import unsubscribe_sync_alerts as alerts
import unsubscribe_sync_connections as connections
from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import StartTriggerArgs
from unsubscribe_sync_defaults import from_environment

if TYPE_CHECKING:
    from airflow.sdk import Context

Counts = dict[str, Any]

SWEEP_EVERY: Final = timedelta(seconds=from_environment("OPT_OUT_SYNC_SWEEP_SECONDS", 900))
"""How long the sensor waits at most. What nobody was woken for is found then."""


class UnsubscribesSensor(BaseSensorOperator):
    """Waits until the outbox has something to do, in the triggerer from the start.

    Args:
        sweep_every: how long to wait at most; then it ends well, too.
        options: of every sensor.
    """

    start_from_trigger = True

    def __init__(self, *, sweep_every: timedelta = SWEEP_EVERY, **options: Any) -> None:
        super().__init__(**options)
        self.sweep_every = sweep_every
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="unsubscribe_sync_push_trigger.OutboxTrigger",
            trigger_kwargs={"seconds": sweep_every.total_seconds()},
            next_method="execute",  # never resumed: the trigger ends the task
        )

    def execute(self, context: "Context") -> None:
        """Wait in this process: where there is no triggerer, as in `dag.test()`."""
        from include.audit.waiting import wait_until_due

        async def store() -> Any:
            return connections.store()

        asyncio.run(wait_until_due(store, longest=self.sweep_every.total_seconds()))


def push(run_id: str) -> Counts:
    """Bring to Salesforce what changed in the store, until nothing has changed for a while."""
    from airflow.sdk.observability import stats

    from include.deployment import Deployment
    from include.sync import push as pushes

    engine = connections.store()
    deployment = Deployment.from_environment()
    patience = pushes.Patience(
        linger=timedelta(seconds=deployment.push_linger_seconds),
        longest=timedelta(seconds=deployment.push_longest_seconds),
    )
    client = connections.salesforce_for_pushes()
    metrics = pushes.Metrics(gauge=stats.gauge, count=stats.incr)
    try:
        return pushes.push(
            engine, client, run_id, clock=connections.clock(), patience=patience, metrics=metrics
        )
    finally:
        alerts.look()  # the sweep: it runs although the nightly DAG is gone
