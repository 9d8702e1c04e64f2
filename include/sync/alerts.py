"""Tell somebody: a failed, red, slow or missing night, pushes that wait, clears that are held.

Looked at by the sweep of the push, so it works although the nightly DAG, or its scheduler, is gone;
and at the end of each night. What cannot be told is told by the next look.
"""

import logging
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final, Protocol

import requests
from sqlalchemy import Engine

from include.audit import alerts
from include.audit.alerts import Alert
from include.domain.errors import TransientSyncError
from include.salesforce.errors import InsecureConnectionError
from include.salesforce.transport import refuse_clear_text
from include.store.database import transaction
from include.sync.clock import Clock

log = logging.getLogger(__name__)

_SECONDS: Final = 20.0


class AlertNotSentError(TransientSyncError):
    """A channel did not take an alert: the next look tells it again."""


class Channel(Protocol):
    """A way to reach a person."""

    def tell(self, told: Sequence[Alert]) -> None:
        """Tell all of them.

        Raises:
            AlertNotSentError: nobody may have been told.
        """


@dataclass(frozen=True, slots=True)
class LogChannel:
    """The log of the task, which everybody has."""

    def tell(self, told: Sequence[Alert]) -> None:
        """Write one line each."""
        for alert in told:
            log.error("ALERT %s: %s", alert.kind, alert.sentence)


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """One message with everything, by SMTP.

    Attributes:
        host: of the mail server.
        port: its port.
        sender: address.
        recipients: addresses.
        user: to log in with; empty: no login.
        password: of the user.
        with_tls: whether the connection is encrypted (STARTTLS); never without for a login.
    """

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: str = ""
    password: str = ""
    with_tls: bool = True

    def tell(self, told: Sequence[Alert]) -> None:
        """Send it.

        Raises:
            AlertNotSentError: the server refused it, or is not there.
        """
        message = EmailMessage()
        message["Subject"] = f"Opt-out sync: {', '.join(sorted({each.kind for each in told}))}"
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message.set_content("\n\n".join(each.sentence for each in told))
        try:
            self._send(message)
        except (OSError, smtplib.SMTPException) as error:
            # `from None`: such an error may quote addresses
            raise AlertNotSentError(
                f"the mail server did not take an alert ({type(error).__name__})"
            ) from None

    def _send(self, message: EmailMessage) -> None:
        with smtplib.SMTP(self.host, self.port, timeout=_SECONDS) as server:
            if self.with_tls or self.user:
                server.starttls(context=ssl.create_default_context())
            if self.user:
                server.login(self.user, self.password)
            server.send_message(message)


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """A JSON document per alert, as chat systems take them: `text`, `kind`, `since`.

    Attributes:
        url: https, or http on this machine; it is a secret.
    """

    url: str

    def tell(self, told: Sequence[Alert]) -> None:
        """Post each.

        Raises:
            AlertNotSentError: it was not taken, or the address is plain http.
        """
        self._require_https()
        for alert in told:
            document = {
                "text": f"Opt-out sync: {alert.sentence}",
                "kind": alert.kind,
                "since": alert.since.isoformat(),
            }
            try:
                answer = requests.post(
                    self.url, json=document, timeout=_SECONDS, allow_redirects=False
                )
            except requests.RequestException as error:
                # `from None`: such an error quotes the address
                raise AlertNotSentError(
                    f"the webhook did not take an alert ({type(error).__name__})"
                ) from None
            if not 200 <= answer.status_code < 300:
                raise AlertNotSentError(
                    f"the webhook did not take an alert (HTTP {answer.status_code})"
                )

    def _require_https(self) -> None:
        try:
            refuse_clear_text(self.url)
        except InsecureConnectionError:
            raise AlertNotSentError("the address of the webhook must be https") from None


@dataclass(frozen=True, slots=True)
class NoChannel:
    """A way that was asked for and cannot be used.

    Attributes:
        why: in one sentence.
    """

    why: str

    def tell(self, told: Sequence[Alert]) -> None:
        """Tell nobody.

        Raises:
            AlertNotSentError: always, with the reason.
        """
        raise AlertNotSentError(self.why)


def look(engine: Engine, channels: Sequence[Channel], *, clock: Clock) -> int:
    """Tell what is to be told, by every channel; returns how many things that were.

    What one channel does not take is told again by all of them: rather twice than never.

    Raises:
        AlertNotSentError: a channel did not take it; the others were still used.
    """
    with transaction(engine) as conn:
        told = alerts.to_tell(conn, clock())
    if not told:
        return 0
    _tell(channels, told)
    with transaction(engine) as conn:
        alerts.remember(conn, told, clock())
    return len(told)


def tell_late(
    engine: Engine, channels: Sequence[Channel], airflow_run_id: str, *, clock: Clock
) -> int:
    """Tell that a night has not ended in time, and what else is to be told; returns how much.

    Airflow asks for this once, when the deadline has passed: also of a night that never began.

    Raises:
        AlertNotSentError: a channel did not take it.
    """
    count = look(engine, channels, clock=clock)
    with transaction(engine) as conn:
        if alerts.is_told_slow(conn, airflow_run_id):
            return count
    sentence = (
        f"The run {airflow_run_id} of DAG unsubscribe_nightly_sync has not ended in time: look at "
        "its running or waiting task."
    )
    _tell(channels, [Alert(f"late/{airflow_run_id}", "slow", clock(), sentence)])
    return count + 1


def _tell(channels: Sequence[Channel], told: Sequence[Alert]) -> None:
    failed: AlertNotSentError | None = None
    for channel in channels:
        try:
            channel.tell(told)
        except AlertNotSentError as error:
            failed = error
    if failed is not None:
        raise failed
