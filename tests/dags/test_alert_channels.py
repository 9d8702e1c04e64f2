"""From Airflow Connections to whom an alert reaches."""

import asyncio
import json
import logging

import pytest
import unsubscribe_sync_alerts as alerts
from airflow.dag_processing.dagbag import DagBag

from include.audit.alerts import Alert
from include.store.database import transaction
from include.sync.alerts import AlertNotSentError, EmailChannel, LogChannel, WebhookChannel
from tests.database.world import NOW
from tests.sync.test_alerts import closed_night, on

__all__ = ["on"]
ALERT = Alert("absence", "absence", NOW, "No night has closed for 26 hours.")
EMAIL, WEBHOOK = "AIRFLOW_CONN_OPT_OUT_ALERTS_EMAIL", "AIRFLOW_CONN_OPT_OUT_ALERTS_WEBHOOK"


@pytest.fixture(autouse=True)
def airflow_home(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))


def connection(conn_type, extra=None, **parts):
    return json.dumps({"conn_type": conn_type, "extra": extra or {}, **parts})


def test_without_a_connection_only_the_log_is_told():
    assert alerts.channels() == [LogChannel()]


@pytest.mark.parametrize("to", ["ops@example.com", ["ops@example.com", "night@example.com"]])
def test_a_mail_connection_names_server_login_sender_and_everybody(monkeypatch, to):
    extra = {"from_email": "sync@example.com", "to_email": to}
    monkeypatch.setenv(
        EMAIL,
        connection("smtp", extra, host="mail.example.com", port=2525, login="u", password="secret"),
    )
    assert alerts.channels() == [
        LogChannel(),
        EmailChannel(
            host="mail.example.com",
            port=2525,
            sender="sync@example.com",
            recipients=("ops@example.com",) if isinstance(to, str) else tuple(to),
            user="u",
            password="secret",
            with_tls=True,
        ),
    ]


def test_what_a_mail_connection_leaves_out_is_usual_and_tls_is_left_out_only_on_demand(monkeypatch):
    extra = {"from_email": "sync@example.com", "to_email": "ops@example.com", "disable_tls": True}
    monkeypatch.setenv(EMAIL, connection("smtp", extra))
    (_, channel) = alerts.channels()
    assert (channel.host, channel.port, channel.user) == ("localhost", 587, "")
    assert not channel.with_tls


def test_the_password_of_a_webhook_connection_is_its_address(monkeypatch):
    monkeypatch.setenv(WEBHOOK, connection("http", password="https://hooks.example.com/T1/secret"))
    assert alerts.channels() == [
        LogChannel(),
        WebhookChannel("https://hooks.example.com/T1/secret"),
    ]


@pytest.mark.parametrize(
    ("variable", "incomplete", "missing"),
    [
        (EMAIL, connection("smtp", {"to_email": "ops@example.com"}), "needs from_email"),
        (EMAIL, connection("smtp", host="mail.example.com"), "needs from_email"),
        (WEBHOOK, connection("http", host="hooks.example.com"), "needs the whole address"),
    ],
)
def test_an_incomplete_connection_is_named_and_names_nobody(
    monkeypatch, variable, incomplete, missing
):
    monkeypatch.setenv(variable, incomplete)
    with pytest.raises(AlertNotSentError, match=missing) as refused:
        alerts.channels()[1].tell([ALERT])
    assert "example.com" not in str(refused.value)


def test_a_task_that_looks_ends_well_although_nobody_could_be_told(monkeypatch, on, caplog):
    url = on.url.set(drivername="postgres").render_as_string(hide_password=False)
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_STORE", url)
    monkeypatch.setenv(WEBHOOK, connection("http", password="http://hooks.example.com/secret"))
    closed_night(on, NOW)  # days ago
    with caplog.at_level(logging.ERROR):
        alerts.look()
    assert "ALERT absence" in caplog.text
    assert "must be https: it is told again by the next look" in caplog.text
    assert "secret" not in caplog.text
    with transaction(on) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM opt_out_sync.alert").scalar() == 0


@pytest.mark.parametrize(
    ("run_type", "state", "is_told"),
    [
        ("scheduled", "running", True),
        ("manual", "queued", True),
        ("backfill", "running", False),
        ("scheduled", "failed", False),
        ("scheduled", "success", False),
    ],
)
def test_only_a_night_that_has_not_ended_is_late(
    monkeypatch, engine, caplog, run_type, state, is_told
):
    url = engine.url.set(drivername="postgres").render_as_string(hide_password=False)
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_STORE", url)
    run = {"dag_run_id": "run__1", "run_type": run_type, "state": state}
    with caplog.at_level(logging.ERROR):
        asyncio.run(alerts.late({"dag_run": run}))
    assert ("ALERT slow: The run run__1 of DAG" in caplog.text) is is_told


def test_a_night_has_a_deadline_two_hours_after_it_was_created():
    (deadline,) = DagBag("dags").dags["unsubscribe_nightly_sync"].deadline
    assert deadline.interval.total_seconds() == 7200
    assert deadline.reference == alerts.RunWasCreated()
    assert deadline.callback.path == "unsubscribe_sync_alerts.late"
