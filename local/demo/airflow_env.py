"""The environment of Airflow's processes: every setting of the demo, in one place.

Airflow reads `AIRFLOW__SECTION__KEY`, and Connections from `AIRFLOW_CONN_*`; nothing is written
into a configuration file.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL, make_url

from local.demo.config import ROOT, Config
from local.demo.credentials import Credentials

API_VERSION = "65.0"


def airflow_environment(
    config: Config,
    credentials: Credentials,
    *,
    metadata_url: str,
    store_url: str,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Build the environment in which Airflow runs this project.

    Args:
        config: ports and folders.
        credentials: generated secrets.
        metadata_url: SQLAlchemy URL of Airflow's own database.
        store_url: SQLAlchemy URL of the engagement store.
        base: variables to keep; settings of another Airflow are not among them.
    """
    kept = {name: value for name, value in base.items() if not name.startswith("AIRFLOW_")}
    return {
        **kept,
        **_process(kept),
        **_core(config, credentials),
        **_database(metadata_url),
        **_timing(),
        **_product(config, credentials, store_url),
    }


def _process(base: Mapping[str, str]) -> dict[str, str]:
    # A proxy of the company is no way to this machine.
    direct = ",".join(filter(None, [base.get("NO_PROXY", base.get("no_proxy")), "127.0.0.1"]))
    variables = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)]),
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
    if sys.platform == "darwin":  # else macOS kills a forked task that opens a connection
        variables["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
    return variables


def _core(config: Config, credentials: Credentials) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(config.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": credentials.fernet_key,
        # Everybody who reaches the page is its admin, so only this machine reaches it.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(config.airflow_port),
        "AIRFLOW__API__BASE_URL": config.airflow_url,
        "AIRFLOW__API__SECRET_KEY": credentials.session_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials.jwt_secret,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{config.airflow_url}/execution/",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(config.airflow_home / "logs"),
        # One line per request otherwise, most of them from the tasks themselves.
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "http.access=WARNING",
    }


def _database(metadata_url: str) -> dict[str, str]:
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_url,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": _drivername(metadata_url, "asyncpg"),
    }


def _drivername(url: str, driver: str) -> str:
    other = make_url(url).set(drivername=f"postgresql+{driver}")
    return other.render_as_string(hide_password=False)


def _timing() -> dict[str, str]:
    return {
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    }


def _product(config: Config, credentials: Credentials, store_url: str) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_ENGAGEMENT_STORE": json.dumps(_store_connection(make_url(store_url))),
        "AIRFLOW_CONN_SALESFORCE": json.dumps(_salesforce_connection(config, credentials)),
        "REQUESTS_CA_BUNDLE": str(config.emulator_database.parent / "ca-bundle.pem"),
        # Airflow's object paths are not percent-encoded: a space stays a space.
        "OPT_OUT_SYNC_STAGING": f"file://{config.staging}",
        "OPT_OUT_SYNC_RETRY_SECONDS": "2",
        # So that a visitor sees both: a push that starts, and one that is still there.
        "OPT_OUT_SYNC_PUSH_LINGER_SECONDS": "5",
    }


def _store_connection(url: URL) -> dict[str, object]:
    connection = {
        "conn_type": "postgres",
        "host": url.host,
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.database,
        "extra": dict(url.query),  # the folder of the socket, where the server has no port
    }
    return {name: value for name, value in connection.items() if value}


def _salesforce_connection(config: Config, credentials: Credentials) -> dict[str, object]:
    """Log in by client credentials, with the emulator in the place of login.salesforce.com.

    simple-salesforce appends `.salesforce.com/...` to the domain: here that ends in the query.
    """
    return {
        "conn_type": "salesforce",
        "extra": {
            "consumer_key": credentials.client_id,
            "consumer_secret": credentials.client_secret,
            "domain": f"127.0.0.1:{config.emulator_tls_port}/login?x=",
            "version": API_VERSION,
        },
    }
