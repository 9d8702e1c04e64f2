"""The compose file against the project: no Docker engine is needed to find what is wrong in it."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import unsubscribe_sync_connections as connections
import unsubscribe_sync_night as night
import unsubscribe_sync_push as pushes
import yaml
from airflow.api_fastapi import core_api
from airflow.api_fastapi.core_api.datamodels.monitor import HealthInfoResponse
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf, retrieve_configuration_description
from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from airflow.sdk import Connection
from cryptography import x509

from include import cli
from include.cli import Environment
from include.deployment import Deployment
from include.store.database import connect
from local.salesforce_emulator.__main__ import _parser as emulator_parser
from local.salesforce_emulator.certificates import ensure_certificates
from local.salesforce_emulator.connection import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    connection_json,
)
from plugins import unsubscribe_sync_preload as preload

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("postgres", "redis")
AIRFLOW = {name: service for name, service in SERVICES.items() if name not in SERVERS}
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
EMULATOR = SERVICES["salesforce-emulator"]
ENVIRONMENT: dict[str, str] = COMPOSE["x-airflow"]["environment"]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
HOME = "/opt/airflow"
PRELOADED = preload.__name__


def all_texts(node: Any = COMPOSE) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from all_texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from all_texts(value)
    else:
        yield str(node)


CHOSEN = {  # beside what is secret
    "AIRFLOW_WORKERS": "2",
    "OPT_OUT_SYNC_STAGING": "file:///opt/airflow/staging",
    "STAGING_CONNECTION": "",
}
PATIENCE = {
    "OPT_OUT_SYNC_PUSH_LINGER_SECONDS": Deployment(staging="-").push_linger_seconds,
    "OPT_OUT_SYNC_PUSH_LONGEST_SECONDS": Deployment(staging="-").push_longest_seconds,
    "OPT_OUT_SYNC_SWEEP_SECONDS": pushes.SWEEP_EVERY.total_seconds(),
    "OPT_OUT_SYNC_SHARD_ROWS": Deployment(staging="-").shard_rows,
    "OPT_OUT_SYNC_SHARDS_AT_ONCE": night.SHARDS_AT_ONCE,
}
VARIABLES = sorted({found for text in all_texts() for found in VARIABLE.findall(text)})
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def commands_of(words: list[str]) -> list[list[str]]:
    """Split `bash -c "a && b"`, and what a health check gives to the shell, into its commands."""
    if words[:2] == ["bash", "-c"]:
        return [shlex.split(command) for command in words[-1].split("&&")]
    if words[0] == "CMD-SHELL":
        return [shlex.split(words[1])]
    return [words[1:] if words[0] == "CMD" else words]


STARTED = [
    (name, command)
    for name, service in AIRFLOW.items()
    for words in (service["command"], service.get("healthcheck", {}).get("test"))
    if words
    for command in commands_of(words)
]


def names_of(commands: list[tuple[str, list[str]]]) -> list[str]:
    return [f"{name}: {shlex.join(command)[:50]}" for name, command in commands]


@pytest.mark.parametrize(("service", "command"), STARTED, ids=names_of(STARTED))
def test_every_command_is_one_of_airflow_or_of_the_project(service, command):
    program, *arguments = command
    if program == "airflow":
        assert callable(get_parser().parse_args(arguments).func)
    elif arguments[:2] == ["-m", PRELOADED]:
        assert callable(get_parser().parse_args(arguments[2:]).func)
    elif program == "celery":
        assert {*arguments} >= {"inspect", "ping"}
    elif arguments[:2] == ["-m", "include.cli"]:
        assert callable(cli.parser().parse_args(arguments[2:]).command)
    elif arguments[:2] == ["-m", "local.salesforce_emulator"]:
        assert emulator_parser().parse_args(arguments[2:]).host == "0.0.0.0"
    else:
        assert (program, arguments[0]) == ("python", "-c"), f"{service} starts something unknown"
        ast.parse(arguments[1])


def test_the_four_components_of_airflow_its_workers_and_nothing_else_run():
    started = {
        name: service["command"]
        for name, service in AIRFLOW.items()
        if name != "init" and "profiles" not in service
    }
    assert started == {
        "worker": ["python", "-m", PRELOADED, "celery", "worker"],
        **{name: ["airflow", name] for name in COMPONENTS},
    }


def test_the_databases_of_airflow_and_of_the_project_are_migrated_before_anything_starts():
    migrations = commands_of(SERVICES["init"]["command"])
    assert migrations == [["airflow", "db", "migrate"], ["python", "-m", "include.cli", "migrate"]]
    for name in AIRFLOW.keys() - {"init"}:
        condition = AIRFLOW[name]["depends_on"]["init"]["condition"]
        assert condition == "service_completed_successfully", name


def test_every_dependency_is_a_service_that_can_meet_its_condition():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for ever for {other}"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"].startswith("on-failure")


def test_everything_that_stays_up_has_a_health_check_and_is_restarted():
    for name in SERVICES.keys() - {"init"}:
        check = SERVICES[name]["healthcheck"]
        assert {"test", "interval", "timeout", "retries"} <= check.keys(), name
        assert SERVICES[name]["restart"] == "unless-stopped", name


def test_the_health_check_of_the_scheduler_asks_a_server_that_is_switched_on():
    port = conf.getint("scheduler", "scheduler_health_check_server_port")
    assert ENVIRONMENT["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "True"
    assert f"localhost:{port}/health" in SERVICES["scheduler"]["healthcheck"]["test"][-1]


def test_the_health_checks_ask_for_what_airflows_api_answers():
    checks = {name: AIRFLOW[name]["healthcheck"]["test"][-1] for name in AIRFLOW.keys() - {"init"}}
    paths = {path for check in checks.values() for path in re.findall(r"/api/v2/[\w/]+", check)}
    assert paths == {"/api/v2/version", "/api/v2/monitor/health"}
    api = (Path(core_api.__file__).parent / "openapi/v2-rest-api-generated.yaml").read_text()
    assert all(f"\n  {path}:" in api for path in paths)
    asked = {
        re.findall(r"\['(\w+)'\]\['status'\]", check)[0]
        for check in checks.values()
        if "status" in check
    }
    assert asked == {"dag_processor", "triggerer"}
    assert asked <= HealthInfoResponse.model_fields.keys()


@pytest.mark.parametrize("variable", [v for v in ENVIRONMENT if v.startswith("AIRFLOW__")])
def test_every_setting_of_airflow_exists(variable):
    _, section, option = variable.lower().split("__")
    assert option in retrieve_configuration_description()[section]["options"]


def test_every_component_of_airflow_has_the_same_environment_and_image():
    own = {"worker": {"DUMB_INIT_SETSID": "0"}}
    for name, service in AIRFLOW.items():
        assert service["environment"] == ENVIRONMENT | own.get(name, {}), name
        assert service["image"] == COMPOSE["x-airflow"]["image"], name


def test_the_connections_are_those_that_the_plugins_ask_for():
    given = {name for name in ENVIRONMENT if name.startswith("AIRFLOW_CONN_")}
    wanted = (connections.STORE_CONNECTION, connections.SALESFORCE_CONNECTION, "opt_out_staging")
    assert given == {f"AIRFLOW_CONN_{connection.upper()}" for connection in wanted}
    assert "s3://opt_out_staging@" in (ROOT / ".env.example").read_text()


def test_the_variables_of_the_project_are_read_by_it():
    plugins = "".join(path.read_text() for path in (ROOT / "plugins").glob("*.py"))
    fields = {*Deployment.model_fields, *Environment.model_fields}
    known = {f"OPT_OUT_SYNC_{field.upper()}" for field in fields}
    known |= set(re.findall(r'from_environment\("(OPT_OUT_SYNC_\w+)"', plugins))
    given = {name for name in ENVIRONMENT if name.startswith("OPT_OUT_SYNC_")}
    assert given <= known
    assert {"OPT_OUT_SYNC_STAGING", "OPT_OUT_SYNC_DATABASE_URL"} <= given


def test_tasks_and_command_line_reach_the_same_store():
    store = ENVIRONMENT["AIRFLOW_CONN_ENGAGEMENT_STORE"]
    assert ENVIRONMENT["OPT_OUT_SYNC_DATABASE_URL"] == store
    url = "postgresql://airflow:s3cret@postgres/engagement_store"
    # what `unsubscribe_sync_connections.store` connects to
    of_tasks = Connection(conn_id="store", uri=url).get_uri()
    assert connect(of_tasks).url == connect(url).url


def test_the_store_of_the_example_is_the_database_that_the_server_is_given():
    example = (ROOT / ".env.example").read_text()
    name = re.search(r"CREATE DATABASE (\w+);", (ROOT / "docker/create-store.sql").read_text())
    assert name
    assert f"@postgres/{name[1]}" in example


def connections_of_the_example() -> list[dict[str, Any]]:
    text = re.sub(r"\n# +", " ", (ROOT / ".env.example").read_text())
    return [json.loads(found) for found in re.findall(r"'(\{.*?\}\})'", text)]


def test_the_salesforce_connections_of_the_example_are_ones():
    found = connections_of_the_example()
    real, emulated = (each["extra"] for each in found if each["conn_type"] == "salesforce")
    for extra in (real, emulated):
        assert extra.keys() == {"consumer_key", "consumer_secret", "domain", "version"}
    own = json.loads(connection_json(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, 18_443))["extra"]
    host = f"{'127.0.0.1'}:"
    assert emulated == {
        **own, "domain": own["domain"].replace(host, "salesforce-emulator:")
    }  # fmt: skip


def database_of_the_emulator() -> str:
    command: list[str] = EMULATOR["command"]
    return command[command.index("--database") + 1]


def test_the_emulator_is_there_for_the_demo_only_and_its_authority_where_tasks_run():
    assert EMULATOR["profiles"] == ["demo"]
    assert "./local:/opt/airflow/local:ro" in EMULATOR["volumes"]
    folder = Path(database_of_the_emulator()).parent
    bundle = re.search(r"^# (/.*ca-bundle.pem)$", (ROOT / ".env.example").read_text(), re.M)
    assert bundle
    assert Path(bundle[1]).parent == folder
    for name in ("worker", "api-server"):  # its pages ask Salesforce, too
        assert f"salesforce:{folder}" in SERVICES[name]["volumes"]
    assert ENVIRONMENT["REQUESTS_CA_BUNDLE"].startswith("${SALESFORCE_CA_BUNDLE:-}")


def test_the_certificate_of_the_emulator_is_made_out_to_its_service(tmp_path):
    certificates = ensure_certificates(tmp_path)
    made = x509.load_pem_x509_certificate(certificates.server.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "salesforce-emulator" in names.get_values_for_type(x509.DNSName)


def test_every_variable_is_in_the_example_file_and_none_there_is_unused():
    assert {name for name, _, _ in VARIABLES} == EXAMPLE.keys()


@pytest.mark.parametrize(("name", "kind", "text"), VARIABLES)
def test_a_secret_has_no_default_and_a_sentence_when_it_is_missing(name, kind, text):
    if name == "AIRFLOW_PORT":
        assert (kind, text, EXAMPLE[name]) == ("-", "8080", "8080")
    elif name == "SALESFORCE_CA_BUNDLE":
        assert (kind, text, EXAMPLE[name]) == ("-", "", "")
    elif name in CHOSEN:
        assert (kind, text, EXAMPLE[name]) == ("-", CHOSEN[name], CHOSEN[name])
    elif name in PATIENCE:
        assert (kind, float(text), float(EXAMPLE[name])) == ("-", PATIENCE[name], PATIENCE[name])
    else:
        assert kind == "?", f"{name} has no sentence for the person who forgot it"
        assert text.endswith("see .env.example")
        assert EXAMPLE[name] == "", f"{name} must not have a value that somebody keeps"


def test_no_secret_is_written_into_the_file():
    servers = [item for name in SERVERS for item in SERVICES[name]["environment"].items()]
    for variable, value in [*ENVIRONMENT.items(), *servers]:
        if (
            re.search(r"PASSWORD$|AUTH$|SECRET|KEY$|CONN|URL$", variable)
            and "SERVER_URL" not in variable
        ):
            assert VARIABLE.search(value), f"{variable} is given in clear"


def test_the_example_is_not_what_git_keeps_out():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in ignored
    assert ".env.example" not in ignored


def mounts() -> Iterator[tuple[str, str, str]]:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            yield name, source, target


def test_every_mounted_file_exists_and_every_volume_is_declared_and_used():
    named = set()
    for _, source, _ in mounts():
        if source.startswith("."):
            assert (ROOT / source).exists()
        else:
            named.add(source)
    assert named == COMPOSE["volumes"].keys()


def test_what_must_outlive_a_container_lies_on_a_volume_that_airflows_user_may_write():
    targets = {(name, target) for name, _, target in mounts()}
    staging = CHOSEN["OPT_OUT_SYNC_STAGING"].removeprefix("file://")
    passwords = Path(ENVIRONMENT["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).parent
    assert {("worker", staging), ("api-server", staging)} <= targets  # its pages read it, too
    assert ("api-server", str(passwords)) in targets
    assert {("postgres", "/var/lib/postgresql"), ("redis", "/data")} <= targets
    made = re.search(r"mkdir -p (.*)$", DOCKERFILE, re.MULTILINE)
    assert made
    emulated = str(Path(database_of_the_emulator()).parent)
    assert made[1].split() == [staging, str(passwords), emulated]


def test_logs_of_tasks_are_shared_with_the_component_that_shows_them():
    targets = {(name, target) for name, _, target in mounts()}
    assert {("worker", f"{HOME}/logs"), ("api-server", f"{HOME}/logs")} <= targets


def test_tasks_report_to_the_service_that_listens():
    url = ENVIRONMENT["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    (published,) = SERVICES["api-server"]["ports"]
    assert url == f"http://api-server:{published.rsplit(':', 1)[1]}/execution/"
    assert published.startswith("127.0.0.1:")  # its login is Airflow's simplest one


def test_the_image_runs_the_airflow_that_the_requirements_name():
    image = re.search(r"^FROM apache/airflow:slim-([\d.]+)-python(3\.\d+)$", DOCKERFILE, re.M)
    pinned = re.search(r"^apache-airflow==([\d.]+)$", (ROOT / "requirements.txt").read_text(), re.M)
    assert image
    assert pinned
    assert image[1] == pinned[1]
    assert image[2] in ("3.11", "3.12", "3.13")  # requires-python of the project


def test_the_version_of_the_image_is_that_of_the_project():
    project = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert project
    assert COMPOSE["x-airflow"]["image"] == f"opt-out-sync:{project[1]}"


def test_the_image_holds_the_product_where_airflow_and_python_look_for_it():
    copied = dict(re.findall(r"^COPY (\S+) (\S+)$", DOCKERFILE, re.MULTILINE))
    assert copied == {
        name: f"{HOME}/{name}" for name in ("requirements.txt", "dags", "plugins", "include")
    }
    kept = re.findall(r"^!(\S+)$", (ROOT / "docker/Dockerfile.dockerignore").read_text(), re.M)
    assert sorted(kept) == sorted(copied)
    assert all((ROOT / name).exists() for name in copied)
    assert f"PYTHONPATH={HOME}" in DOCKERFILE


def test_the_server_is_of_the_major_version_that_the_tests_run_on(server_url):
    engine = connect(server_url)
    with engine.connect() as connection:
        major = connection.exec_driver_sql("SHOW server_version_num").scalar_one()[:-4]
    engine.dispose()
    assert SERVICES["postgres"]["image"] == f"postgres:{major}"


def memory_of(service: dict[str, Any]) -> float:
    """Gigabytes that a service may have."""
    limit = service["deploy"]["resources"]["limits"]["memory"]
    return float(limit[:-1]) / {"G": 1, "M": 1024}[limit[-1]]


def test_everything_has_limits_and_a_worker_has_a_gigabyte_for_each_of_its_tasks():
    for name, service in SERVICES.items():
        limits = service["deploy"]["resources"]["limits"]
        assert float(limits["cpus"]) > 0, name
        assert memory_of(service) >= 0.25, name
    tasks = int(ENVIRONMENT["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert memory_of(SERVICES["worker"]) > tasks  # and itself: no process of a night takes more


def test_a_dead_worker_is_noticed_before_a_person_would_and_a_slow_one_is_not_taken_for_it():
    patience = float(ENVIRONMENT["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"])
    signs_of_life = patience / conf.getint("workers", "min_heartbeat_interval")
    assert patience <= 60
    assert signs_of_life >= 10


def test_celery_gives_a_worker_no_more_than_it_works_on():
    """What a worker has taken and not begun would be lost with it for a day."""
    assert DEFAULT_CELERY_CONFIG["worker_prefetch_multiplier"] == 1
    assert DEFAULT_CELERY_CONFIG["task_acks_late"] is True


def test_a_worker_may_end_its_steps_before_it_is_stopped():
    assert SERVICES["worker"]["stop_grace_period"] == "2m"
    assert SERVICES["worker"]["environment"]["DUMB_INIT_SETSID"] == "0"


def test_the_broker_asks_for_a_password_and_its_health_check_knows_it():
    words = SERVICES["redis"]["command"]
    secret = words[words.index("--requirepass") + 1]
    assert VARIABLE.search(secret)
    assert f":{secret}@redis:" in ENVIRONMENT["AIRFLOW__CELERY__BROKER_URL"]
    assert SERVICES["redis"]["environment"]["REDISCLI_AUTH"] == secret
