"""Who should know is told: once a day, by every channel, and again where a channel was away."""

import json
import socketserver
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from sqlalchemy import Engine, text

from include.audit import alerts, runs, settings
from include.store.database import transaction
from include.sync.alerts import (
    AlertNotSentError,
    EmailChannel,
    LogChannel,
    NoChannel,
    WebhookChannel,
    look,
    tell_late,
)
from tests.database.world import NOW, open_run

HOUR = timedelta(hours=1)


class Kept:
    """A channel that keeps what it was told, or is away."""

    def __init__(self, is_away=False):
        self.told, self.is_away = [], is_away

    def tell(self, told):
        if self.is_away:
            raise AlertNotSentError("away")
        self.told.extend(alert.kind for alert in told)


def told(engine, now):
    channel = Kept()
    look(engine, [channel], clock=lambda: now)
    return channel.told


@pytest.fixture
def on(engine: Engine) -> Engine:
    """The sync was switched on at NOW."""
    with transaction(engine) as conn:
        chosen = settings.Settings(enabled=True)
        settings.save(conn, chosen, saved_by="Ada", note="go live", now=NOW)
    return engine


def closed_night(engine, at):
    with transaction(engine) as conn:
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.sync_run (kind, state, night, airflow_run_id, attempt, "
                "settings_version, started_at, lease_expires_at, closed_at) VALUES ('night', "
                "'closed', '2026-11-22', :key, 1, 1, :at, :at, :at)"
            ),
            {"at": at, "key": str(at)},
        )


def test_26_hours_without_a_closed_night_are_told_once_a_day_until_one_closes(on):
    assert told(on, NOW + 26 * HOUR) == []
    late = NOW + 26 * HOUR + timedelta(seconds=1)
    assert told(on, late) == ["absence"]
    assert told(on, late + HOUR) == []
    assert told(on, late + 24 * HOUR) == ["absence"]
    closed_night(on, late + 25 * HOUR)
    assert told(on, late + 26 * HOUR) == []
    assert told(on, late + 52 * HOUR) == ["absence"]


def test_a_night_is_not_missed_while_the_sync_is_off(engine):
    assert told(engine, NOW + 1000 * HOUR) == []


@pytest.mark.parametrize("reason", ["its lease expired", None])
def test_a_failed_night_is_told(on, reason):
    run = open_run(on)
    runs.fail(on, run.id, "Salesforce is down", now=NOW)
    assert told(on, NOW + HOUR) == ["failed"]
    closed_night(on, NOW + 2 * HOUR)
    assert told(on, NOW + 3 * HOUR) == []


def test_a_closed_night_that_is_red_is_told_with_its_reason(on):
    closed_night(on, NOW)
    with transaction(on) as conn:
        conn.execute(text("UPDATE opt_out_sync.sync_run SET reason = '3 writes are still open'"))
        (alert,) = alerts.to_tell(conn, NOW + HOUR)
    assert alert.kind == "red"
    assert alert.sentence == "The night of 2026-11-22: 3 writes are still open"


def test_a_night_that_takes_more_than_two_hours_is_told_while_it_runs(on):
    open_run(on)
    assert told(on, NOW + 2 * HOUR) == []
    assert told(on, NOW + 2 * HOUR + timedelta(seconds=1)) == ["slow"]


def test_pushes_that_wait_for_more_than_a_day_are_told(on):
    with transaction(on) as conn:
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.push_outbox (person_id, state, version, marked_at, "
                "next_attempt_at, failure_class, code) VALUES (7, 'parked', 1, :at, :at, "
                "'permission', 'X')"
            ),
            {"at": NOW},
        )
    assert told(on, NOW + 24 * HOUR) == []
    assert told(on, NOW + 25 * HOUR) == ["parked"]


def test_a_tripped_brake_is_told(on):
    with transaction(on) as conn:
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.held_clear (org_id, person_id, held_run_id, held_at) "
                "VALUES ('ORG', 7, 3, :at)"
            ),
            {"at": NOW},
        )
    assert told(on, NOW) == ["brake"]


def test_what_a_channel_did_not_take_is_told_again_and_the_others_are_used(on):
    away, there = Kept(is_away=True), Kept()
    late = NOW + 27 * HOUR
    for _ in range(2):
        with pytest.raises(AlertNotSentError):
            look(on, [away, there], clock=lambda: late)
    assert there.told == ["absence"] * 2
    away.is_away = False
    assert look(on, [away, there], clock=lambda: late) == 1
    assert look(on, [away, there], clock=lambda: late) == 0


def test_a_channel_that_cannot_be_used_keeps_no_other_from_being_used(on):
    there = Kept()
    late = NOW + 27 * HOUR
    for wrong in (NoChannel("it has no address"), WebhookChannel("http://hooks.example.com/x")):
        with pytest.raises(AlertNotSentError):
            look(on, [wrong, there], clock=lambda: late)
    assert there.told == ["absence"] * 2


class Sentences(Kept):
    def tell(self, told):
        self.told.extend(alert.sentence for alert in told)


def test_a_night_that_is_late_is_told_although_it_never_began(on):
    channel = Sentences()
    assert tell_late(on, [channel], "scheduled__1", clock=lambda: NOW + 2 * HOUR) == 1
    assert channel.told == [
        "The run scheduled__1 of DAG unsubscribe_nightly_sync has not ended in time: look at its "
        "running or waiting task."
    ]


def test_a_night_that_is_late_is_told_once_when_the_sweep_knows_it_too(on):
    open_run(on, "scheduled__1")
    late = NOW + 2 * HOUR + timedelta(seconds=1)
    channel = Sentences()
    tell_late(on, [channel], "scheduled__1", clock=lambda: late)
    assert [sentence[:12] for sentence in channel.told] == ["The night of"]
    tell_late(on, [channel], "scheduled__1", clock=lambda: late)
    tell_late(on, [channel], "manual__2", clock=lambda: late)
    assert [sentence.split(" of ")[0] for sentence in channel.told] == [
        "The night",
        "The run manual__2",
    ]


ALERT = alerts.Alert("absence", "absence", NOW, "No night has closed for 26 hours.")


def test_the_log_says_what_and_what_to_do(caplog):
    LogChannel().tell([ALERT])
    assert "ALERT absence: No night has closed for 26 hours." in caplog.text


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "is_taken"), [(200, True), (204, True), (302, False), (500, False)]
)
def test_a_webhook_gets_a_document_and_anything_but_2xx_is_a_failure(status, is_taken):
    got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        channel = WebhookChannel(f"http://127.0.0.1:{port}/secret")
        if is_taken:
            channel.tell([ALERT])
        else:
            with pytest.raises(AlertNotSentError) as refused:
                channel.tell([ALERT])
            assert "secret" not in str(refused.value)
    assert got == [
        {
            "text": "Opt-out sync: No night has closed for 26 hours.",
            "kind": "absence",
            "since": NOW.isoformat(),
        }
    ]


def test_a_webhook_in_clear_text_is_refused():
    with pytest.raises(AlertNotSentError, match="must be https"):
        WebhookChannel("http://hooks.example.com/x").tell([ALERT])


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs."""

    kept: ClassVar[list[bytes]] = []

    def handle(self):
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            if line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.kept.append(b"".join(lines))
            self.wfile.write(b"250 fine\r\n")


def test_an_email_names_what_and_goes_to_everybody():
    Mailbox.kept.clear()
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mailbox)) as port:
        channel = EmailChannel(
            "127.0.0.1", port, "sync@example.com", ("a@example.com", "b@example.com"),
            with_tls=False,
        )  # fmt: skip
        channel.tell([ALERT])
    (message,) = Mailbox.kept
    assert b"Subject: Opt-out sync: absence" in message
    assert b"To: a@example.com, b@example.com" in message
    assert b"No night has closed for 26 hours." in message


@pytest.mark.parametrize("user", ["", "sync"])
def test_without_encryption_nothing_is_sent_unless_that_was_asked_for_and_no_login_is(user):
    """This server offers no STARTTLS."""
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mailbox)) as port:
        channel = EmailChannel(
            "127.0.0.1", port, "sync@example.com", ("a@example.com",), user=user,
            with_tls=user == "",
        )  # fmt: skip
        with pytest.raises(AlertNotSentError) as refused:
            channel.tell([ALERT])
    assert "@" not in str(refused.value)
