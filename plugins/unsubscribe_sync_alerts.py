"""Who is told: always the log; by mail and webhook where a Connection says so.

Connections: `opt_out_alerts_email` (type *SMTP*: host, port, login, password; extra `from_email`
and `to_email`, one address or a list) and `opt_out_alerts_webhook` (type *HTTP*, its password is
the whole address of the hook). A task that looks stays green although nobody could be told: the
next look tells it again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import unsubscribe_sync_connections as connections
from airflow.sdk import BaseHook
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineAlert
from airflow.sdk.exceptions import AirflowNotFoundException
from unsubscribe_sync_defaults import from_environment

from include.sync.clock import utc_now

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.sync.alerts import Channel

log = logging.getLogger(__name__)

EMAIL_CONNECTION = "opt_out_alerts_email"
WEBHOOK_CONNECTION = "opt_out_alerts_webhook"
SLOW_AFTER: Final = timedelta(seconds=from_environment("OPT_OUT_SYNC_SLOW_SECONDS", 7_200))
"""How long after its start a night counts as slow. The sweep of the push counts two hours."""


class RunWasCreated(BaseDeadlineReference):
    """Counts a deadline from the moment at which Airflow creates a run.

    Airflow's own `DAGRUN_QUEUED_AT` is the same moment, but 3.3.2 cannot clear a run that has such
    a deadline before it has passed: the page and the API answer with an error.
    """

    def _evaluate_with(self, *, session: object, **_: object) -> datetime:
        return utc_now()


def look() -> None:
    """Tell whoever is configured what they should know."""
    from include.sync import alerts

    _tell(lambda: alerts.look(connections.store(), channels(), clock=connections.clock()))


async def late(context: Mapping[str, Any]) -> None:
    """Tell that a run of Airflow is late: called by the triggerer when the deadline has passed."""
    run = context["dag_run"]
    # The nights of a backfill take turns: to wait is no fault. A night that failed was told.
    if run["run_type"] != "backfill" and run["state"] not in ("success", "failed"):
        await asyncio.to_thread(_tell_late, run["dag_run_id"])


def deadline() -> DeadlineAlert:
    """Return the deadline of a night, which holds although no push sweeps."""
    return DeadlineAlert(
        reference=RunWasCreated(), interval=SLOW_AFTER, callback=AsyncCallback(late)
    )


def channels() -> "list[Channel]":
    """Return the log, and what the Connections name."""
    from include.sync.alerts import LogChannel

    found: list[Channel] = [LogChannel()]
    for name, channel in ((EMAIL_CONNECTION, _email), (WEBHOOK_CONNECTION, _webhook)):
        connection = _connection(name)
        if connection is not None:
            found.append(channel(connection))
    return found


def _tell_late(run_id: str) -> None:
    from include.sync import alerts

    clock = connections.clock()
    _tell(lambda: alerts.tell_late(connections.store(), channels(), run_id, clock=clock))


def _tell(told: Callable[[], int]) -> None:
    from include.domain.errors import OptOutSyncError

    try:
        told()
    except OptOutSyncError as error:
        log.error("%s: it is told again by the next look", error)


def _email(connection: "Connection") -> "Channel":
    from include.sync.alerts import EmailChannel, NoChannel

    extra = connection.extra_dejson
    to, sender = extra.get("to_email"), extra.get("from_email")
    if not to or not sender:
        return NoChannel(
            f"Connection {EMAIL_CONNECTION} needs from_email and to_email in its extra"
        )
    return EmailChannel(
        host=connection.host or "localhost",
        port=connection.port or 587,
        sender=sender,
        recipients=(to,) if isinstance(to, str) else tuple(to),
        user=connection.login or "",
        password=connection.password or "",
        with_tls=not extra.get("disable_tls", False),
    )


def _webhook(connection: "Connection") -> "Channel":
    from include.sync.alerts import NoChannel, WebhookChannel

    if not connection.password:
        return NoChannel(
            f"Connection {WEBHOOK_CONNECTION} needs the whole address of the hook as its password"
        )
    return WebhookChannel(connection.password)


def _connection(name: str) -> "Connection | None":
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None
