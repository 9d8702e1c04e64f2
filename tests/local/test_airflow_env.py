import json
import stat
from pathlib import Path

import pytest
from airflow.models.connection import Connection
from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from airflow.sdk import ObjectStoragePath
from sqlalchemy import make_url

from local.demo.airflow_env import airflow_environment
from local.demo.config import Config
from local.demo.credentials import Credentials, load_or_create

CONFIG = Config(Path("/somewhere/.local"), 8085, 18080, 18443)
SOCKET = "postgresql+psycopg2://postgres@/opt_out?host=%2Frun%2Fa+b"
TCP = "postgresql+psycopg2://ann:s%40cret@127.0.0.1:5433/opt_out"


def environment(store_url: str = SOCKET, **base: str) -> dict[str, str]:
    return airflow_environment(
        CONFIG, Credentials(), metadata_url=SOCKET, store_url=store_url, base=base
    )


def test_settings_of_another_airflow_are_left_behind():
    variables = environment(AIRFLOW__CORE__EXECUTOR="CeleryExecutor", AIRFLOW_CONN_X="y", HOME="/")
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW_CONN_X" not in variables
    assert variables["HOME"] == "/"


def test_a_proxy_is_no_way_to_this_machine():
    assert environment(NO_PROXY="intranet")["NO_PROXY"] == "intranet,127.0.0.1"
    assert environment()["no_proxy"] == "127.0.0.1"


def test_every_address_is_on_this_machine_and_has_its_port():
    variables = environment()
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__API__PORT"] == "8085"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == (
        "http://127.0.0.1:8085/execution/"
    )


@pytest.mark.parametrize("url", [SOCKET, TCP])
def test_the_store_connection_leads_to_the_same_database(url):
    connection = Connection.from_json(environment(url)["AIRFLOW_CONN_ENGAGEMENT_STORE"])
    found = make_url(connection.get_uri().replace("postgres://", "postgresql+psycopg2://", 1))
    assert found == make_url(url)


def test_rows_are_staged_below_the_state_folder_whatever_its_name(tmp_path):
    config = Config(tmp_path / "my clöne", 8085, 18080, 18443)
    variables = airflow_environment(
        config, Credentials(), metadata_url=SOCKET, store_url=SOCKET, base={}
    )
    staging = ObjectStoragePath(variables["OPT_OUT_SYNC_STAGING"])
    (staging / "rows").mkdir(parents=True)
    assert (tmp_path / "my clöne" / "staging" / "rows").is_dir()


def test_the_salesforce_connection_logs_in_at_the_emulator():
    extra = json.loads(environment()["AIRFLOW_CONN_SALESFORCE"])["extra"]
    assert extra["domain"] == "127.0.0.1:18443/login?x="
    assert Connection.from_json(environment()["AIRFLOW_CONN_SALESFORCE"]).conn_type == (
        SalesforceHook.conn_type
    )


def test_secrets_are_generated_once_and_for_the_owner_only(tmp_path):
    path = tmp_path / "state" / "secrets.json"
    created = load_or_create(path)
    assert load_or_create(path).jwt_secret == created.jwt_secret
    assert load_or_create(tmp_path / "other.json").jwt_secret != created.jwt_secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(created.jwt_secret.encode()) >= 64
    assert created.jwt_secret not in repr(created)
