"""From Airflow Connections to databases, orgs and folders."""

import json
import selectors
import socket
import socketserver
import threading
from datetime import date

import pandas as pd
import pytest
import unsubscribe_sync_connections as connections
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import text

from include.deployment import DeploymentError
from include.sync.clock import utc_now
from include.sync.staging import Stage, expire
from local.salesforce_emulator.identity import ADMIN_USERNAME
from local.salesforce_emulator.testing import Size, running_emulator
from tests.object_store import BUCKET, running_object_store


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    with running_emulator(tmp_path_factory.mktemp("org"), Size(contacts=1, leads=1)) as org:
        yield org


@pytest.fixture(autouse=True)
def airflow_home(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "uri"])
def test_the_store_is_reached_however_its_connection_is_written(engine, monkeypatch, as_json):
    url = engine.url
    parts = {
        "conn_type": "postgres",
        "host": url.host,
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.database,
        "extra": dict(url.query),
    }
    uri = url.set(drivername="postgres").render_as_string(hide_password=False)
    value = json.dumps({k: v for k, v in parts.items() if v}) if as_json else uri
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_STORE", value)
    with connections.store().connect() as conn:
        assert conn.execute(text("SELECT current_database()")).scalar() == url.database


def test_salesforce_is_reached_through_the_proxy_of_its_connection(org, monkeypatch):
    """And under its real name: only the proxy knows that the org is on this machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with connect_proxy(org.tls_port) as proxy:
        extra = {
            "consumer_key": org.client_id,
            "consumer_secret": org.client_secret,
            "domain": "acme.my",
            "proxies": {"https": f"http://127.0.0.1:{proxy.server_address[1]}"},
        }
        connection = {"conn_type": "salesforce", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", json.dumps(connection))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(org.ca_bundle))
        assert connections.salesforce().organization_id().startswith("00D")
        assert set(proxy.asked_for) == {"acme.my.salesforce.com:443"}


def test_an_administrator_logs_in_by_a_key_beside_the_integration_user(org, monkeypatch):
    """As docs/salesforce-admin.md says: one app, one certificate, the Connection names the user."""
    key = rsa.generate_private_key(65_537, 2_048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    org.set_certificate(public.decode())
    extra = {
        "consumer_key": org.client_id,
        "private_key": private.decode(),
        "domain": org.login_domain,
    }
    connection = {"conn_type": "salesforce", "login": ADMIN_USERNAME, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", org.airflow_connection)
    monkeypatch.setenv("AIRFLOW_CONN_ACME_ADMIN", json.dumps(connection))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(org.ca_bundle))
    org.set_user_permission("CustomizeApplication", granted=False)  # of the integration user
    needed = ["CustomizeApplication"]
    ours = connections.salesforce_administration("salesforce").missing_permissions(needed)
    theirs = connections.salesforce_administration("acme_admin").missing_permissions(needed)
    assert (ours, theirs) == (["Customize Application"], [])


def test_a_missing_staging_folder_is_named(monkeypatch):
    monkeypatch.delenv("OPT_OUT_SYNC_STAGING", raising=False)
    with pytest.raises(DeploymentError, match="OPT_OUT_SYNC_STAGING"):
        connections.staging()


def test_staging_is_any_folder_that_airflow_can_write_to(monkeypatch, tmp_path):
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", tmp_path.as_uri())
    (connections.staging() / "a").write_text("x")
    assert (tmp_path / "a").read_text() == "x"


def test_staging_is_a_bucket_that_a_connection_leads_to(monkeypatch, tmp_path):
    with running_object_store(tmp_path) as store:
        monkeypatch.setenv("AIRFLOW_CONN_OPT_OUT_STAGING", store.airflow_connection)
        monkeypatch.setenv("OPT_OUT_SYNC_STAGING", f"s3://opt_out_staging@{BUCKET}/nights")
        stage = Stage(connections.staging(), date(2026, 11, 22), sync_run_id=7)
        for rows in (3, 2):
            stage.write("people", pd.DataFrame({"person_id": range(rows)}), utc_now())
        assert stage.read("people")["person_id"].tolist() == [0, 1]
        run = "nights/night=2026-11-22/run=7"
        assert store.keys() == [f"{run}/people.manifest.json", f"{run}/people.parquet"]
        assert expire(connections.staging(), tonight=date(2026, 12, 22)) == 1
        assert expire(connections.staging(), tonight=date(2026, 12, 22)) == 0
        assert store.keys() == []


class Forwarder(socketserver.BaseRequestHandler):
    """Answers CONNECT and then passes bytes both ways, whatever host was asked for."""

    def handle(self):
        request = self.request.recv(65536).split()
        self.server.asked_for.append(request[1].decode())
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = {self.request: target, target: self.request}
            with selectors.DefaultSelector() as selector:
                for way in ways:
                    selector.register(way, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        ways[key.fileobj].sendall(data)


class connect_proxy(socketserver.ThreadingTCPServer):  # noqa: N801  used as a context manager
    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Forwarder)
        self.target, self.asked_for = target, []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
