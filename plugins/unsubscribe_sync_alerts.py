"""Who is told: always the log; by mail and webhook where a Connection says so.

Connections: `opt_out_alerts_email` (type *SMTP*: host, port, login, password; extra `from_email`
and `to_email`, one address or a list) and `opt_out_alerts_webhook` (type *HTTP*, its password is
the whole address of the hook). A task that looks stays green although nobody could be told: the
next look tells it again.
"""

import logging
from typing import TYPE_CHECKING

import unsubscribe_sync_connections as connections
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.sync.alerts import Channel

log = logging.getLogger(__name__)

EMAIL_CONNECTION = "opt_out_alerts_email"
WEBHOOK_CONNECTION = "opt_out_alerts_webhook"


def look() -> None:
    """Tell whoever is configured what they should know."""
    from include.sync import alerts

    try:
        alerts.look(connections.store(), channels(), clock=connections.clock())
    except alerts.AlertNotSentError as error:
        log.error("%s: it is told again by the next look", error)


def channels() -> "list[Channel]":
    """Return the log, and what the Connections name."""
    from include.sync.alerts import EmailChannel, LogChannel, WebhookChannel

    found: list[Channel] = [LogChannel()]
    email = _connection(EMAIL_CONNECTION)
    if email is not None:
        extra = email.extra_dejson
        to = extra["to_email"]
        found.append(
            EmailChannel(
                host=email.host or "localhost",
                port=email.port or 587,
                sender=extra["from_email"],
                recipients=(to,) if isinstance(to, str) else tuple(to),
                user=email.login or "",
                password=email.password or "",
                with_tls=not extra.get("disable_tls", False),
            )
        )
    webhook = _connection(WEBHOOK_CONNECTION)
    if webhook is not None and webhook.password:
        found.append(WebhookChannel(webhook.password))
    return found


def _connection(name: str) -> "Connection | None":
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None
