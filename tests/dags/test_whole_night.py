"""The DAG itself, run by Airflow against the emulated org: Connections, XCom, trigger rules."""

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from include.audit import orgs, settings
from include.store.database import connect
from include.sync.clock import utc_now
from local.salesforce_emulator.seed import ORGANIZATION_ID
from local.salesforce_emulator.testing import Size, running_emulator
from tests.conftest import new_database

ROOT = Path(__file__).parents[2]
STEPS = {
    "preflight", "extract.store", "extract.contact", "extract.lead", "split", "decide", "merge",
    "load.store", "load.salesforce", "load.clears", "verify", "close", "report",
}  # fmt: skip


@pytest.fixture(scope="module")
def airflow(server_url, database_url, tmp_path_factory):
    """The environment of an Airflow with a metadata database, a store and an org of its own."""
    home = tmp_path_factory.mktemp("airflow")
    template = make_url(database_url).database
    with (
        new_database(server_url, f"airflow_meta_{os.getpid()}") as metadata,
        new_database(server_url, f"airflow_store_{os.getpid()}", template) as store,
        running_emulator(tmp_path_factory.mktemp("org"), Size(contacts=20, leads=10)) as org,
    ):
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW_CONN_ENGAGEMENT_STORE": store.replace("postgresql+psycopg2", "postgres"),
            "AIRFLOW_CONN_SALESFORCE": org.airflow_connection,
            "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
            "OPT_OUT_SYNC_STAGING": (home / "staging").as_uri(),
        }
        run([sys.executable, "-m", "airflow", "db", "migrate"], environment)
        yield Airflow(environment, store, org)


class Airflow:
    def __init__(self, environment, store_url, org):
        self.environment, self.org = environment, org
        self.store = connect(store_url)

    def night(self, **conf):
        command = [sys.executable, "-m", "tests.dags.run_dag", "unsubscribe_nightly_sync"]
        output = run([*command, json.dumps(conf)], self.environment)
        self.log = output
        return json.loads(output.strip().splitlines()[-1])

    def enable(self):
        with self.store.begin() as conn:
            chosen = settings.Settings(enabled=True)
            settings.save(conn, chosen, saved_by="admin", note="test", now=utc_now())
            orgs.confirm(conn, ORGANIZATION_ID, by="admin", note="test", now=utc_now())

    def sql(self, statement, **values):
        with self.store.begin() as conn:
            result = conn.execute(text(statement), values)
            return result.all() if result.returns_rows else []


def run(command, environment):
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_a_disabled_night_is_green_skips_every_step_and_says_so(airflow):
    night = airflow.night()
    assert night["run"] == "success"
    assert night["tasks"].pop("preflight") == "success"
    assert night["tasks"].pop("report") == "success"
    assert set(night["tasks"].values()) == {"skipped"}
    assert "the sync is disabled" in airflow.log


def test_a_whole_night_carries_an_opt_out_each_way_and_leaks_nothing(airflow):
    airflow.enable()
    to_salesforce, to_store = (r["Id"] for r in airflow.org.records("Contact")[:2])
    airflow.org.edit(to_salesforce, HasOptedOutOfEmail=False)
    airflow.org.edit(to_store, HasOptedOutOfEmail=True)
    for record in (to_salesforce, to_store):
        airflow.sql(
            "INSERT INTO engagement.person (email, salesforce_id) VALUES (:e, :r)",
            e="canary@example.com",
            r=record,
        )
    airflow.sql(
        "INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, "
        "idempotency_key) SELECT min(id), 'unsubscribe', 'team', 'One-Click', now(), 'k' "
        "FROM engagement.person"
    )
    night = airflow.night()
    assert night == {"run": "success", "tasks": dict.fromkeys(STEPS, "success")}
    assert airflow.org.record(to_salesforce)["HasOptedOutOfEmail"] is True
    states = airflow.sql("SELECT is_opted_out FROM engagement.person_opt_out ORDER BY person_id")
    assert [state.is_opted_out for state in states] == [True, True]
    assert "canary" not in airflow.log
    assert airflow.org.client_secret not in airflow.log


def documented_cleaning(before):
    """The command of docs/deploy-upgrades.md, with another day than thirty days ago."""
    page = (ROOT / "docs/deploy-upgrades.md").read_text()
    (line,) = re.findall(r"^airflow db clean .*$", page, re.MULTILINE)
    words = shlex.split(re.sub(r'"\$\(.*?\)"', before.isoformat(), line))
    return [sys.executable, "-m", *words]


def test_airflow_may_forget_every_run_and_the_next_night_is_as_good(airflow):
    airflow.enable()
    assert airflow.night()["run"] == "success"
    nights = airflow.sql("SELECT count(*) FROM opt_out_sync.v_night")
    metadata = connect(airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    rows = "SELECT (SELECT count(*) FROM dag_run), (SELECT count(*) FROM xcom)"
    with metadata.connect() as conn:
        assert min(conn.execute(text(rows)).one()) > 0
    run(documented_cleaning(utc_now() + timedelta(minutes=1)), airflow.environment)
    with metadata.connect() as conn:
        assert conn.execute(text(rows)).one() == (0, 0)
        archived = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_airflow\\_deleted%'"
        assert conn.execute(text(archived)).scalar() == 0
    metadata.dispose()
    assert airflow.sql("SELECT count(*) FROM opt_out_sync.v_night") == nights
    assert airflow.night() == {"run": "success", "tasks": dict.fromkeys(STEPS, "success")}


def test_a_hidden_field_makes_the_run_red_by_its_report_alone(airflow):
    airflow.enable()
    airflow.org.set_field_access("Lead", "HasOptedOutOfEmail", readable=False, updateable=False)
    night = airflow.night()
    assert night["run"] == "failed"
    assert night["tasks"].pop("report") == "failed"
    assert set(night["tasks"].values()) == {"success"}
    airflow.org.restore()
