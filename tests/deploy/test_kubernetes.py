"""The values for the official Helm chart against the project and Airflow; helm itself checks their
schema when it installs them."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import unsubscribe_sync_connections as connections
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import retrieve_configuration_description
from airflow.executors.executor_loader import ExecutorLoader
from upath import UPath

from include import cli
from include.cli import Environment
from include.deployment import Deployment
from plugins import unsubscribe_sync_preload as preload

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("", "kubernetes-executor.yaml", "local-executor.yaml")


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text()))


def laid_over(below: Any, above: Any) -> Any:
    """Merge as helm does: maps key by key, everything else whole."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: laid_over(below.get(key), value) for key, value in above.items()}
    return above


@pytest.fixture(params=OVERLAYS, ids=lambda name: name or "values.yaml")
def values(request):
    own = read("values.yaml")
    return laid_over(own, read(request.param)) if request.param else own


def commands(values: dict[str, Any]) -> list[list[str]]:
    sections = [*values.values(), values.get("workers", {}).get("celery", {})]
    started = [each["args"] for each in sections if isinstance(each, dict) and "args" in each]
    assert all(words[:2] == ["bash", "-c"] for words in started)
    parts = [part for words in started for part in words[2].split("&&")]
    return [shlex.split(part.strip().removeprefix("exec ")) for part in parts]


def test_every_command_is_one_of_airflow_or_of_the_project(values):
    for program, *arguments in commands(values):
        if program == "airflow":
            assert callable(get_parser().parse_args(arguments).func)
        elif arguments[:2] == ["-m", preload.__name__]:
            assert callable(get_parser().parse_args(arguments[2:]).func)
        else:
            assert [program, *arguments[:2]] == ["python", "-m", "include.cli"]
            assert callable(cli.parser().parse_args(arguments[2:]).command)


def test_the_store_is_migrated_before_the_database_that_pods_wait_for(values):
    migrations = commands({"job": values["migrateDatabaseJob"]})
    assert migrations == [["python", "-m", "include.cli", "migrate"], ["airflow", "db", "migrate"]]


def test_every_setting_of_airflow_exists(values):
    known = retrieve_configuration_description(include_providers=True)
    # described by the Celery provider, which is no part of every environment that runs the tests
    known.setdefault("celery", {"options": {"worker_concurrency": {}}})
    given = [(section, name) for section, ones in values["config"].items() for name in ones]
    assert given
    assert [(s, name) for s, name in given if name not in known[s]["options"]] == []
    assert all(isinstance(v, str) for ones in values["config"].values() for v in ones.values())


def test_the_executor_is_one_and_what_it_does_not_need_is_switched_off(values):
    executor = values["executor"]
    assert executor in ExecutorLoader.executors
    assert values.get("redis", {}).get("enabled", True) == (executor == "CeleryExecutor")
    starts_tasks = {
        "CeleryExecutor": values["workers"]["celery"],
        "LocalExecutor": values["scheduler"],
    }
    if executor in starts_tasks:  # a task is a fork of it
        (command,) = commands({"it": starts_tasks[executor]})
        assert command[:3] == ["python", "-m", preload.__name__]


def variables(values: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in values["env"]}


def test_the_variables_are_read_by_the_project(values):
    fields = {*Deployment.model_fields, *Environment.model_fields}
    known = {f"OPT_OUT_SYNC_{field.upper()}" for field in fields}
    secret = {each["envName"] for each in values["secret"]}
    given = set(variables(values)) | {name for name in secret if name.startswith("OPT_OUT_SYNC_")}
    assert {"OPT_OUT_SYNC_STAGING", "OPT_OUT_SYNC_DATABASE_URL"} <= given <= known


def test_staging_and_logs_are_in_an_object_store_because_pods_share_no_disk(values):
    for place in (
        variables(values)["OPT_OUT_SYNC_STAGING"],
        values["config"]["logging"]["remote_base_log_folder"],
    ):
        assert UPath(place).protocol == "s3"


def test_the_connections_are_those_that_the_plugins_ask_for_and_come_from_secrets(values):
    wanted = (connections.STORE_CONNECTION, connections.SALESFORCE_CONNECTION)
    given = {each["envName"] for each in values["secret"]}
    assert {name for name in given if name.startswith("AIRFLOW_CONN_")} == {
        f"AIRFLOW_CONN_{connection.upper()}" for connection in wanted
    }
    keys = {each["envName"]: each["secretKey"] for each in values["secret"]}
    assert keys["AIRFLOW_CONN_ENGAGEMENT_STORE"] == keys["OPT_OUT_SYNC_DATABASE_URL"]
    assert not {name for name in variables(values) if re.search("CONN|URL|SECRET|KEY", name)}


def test_every_secret_is_created_on_the_page_that_explains_the_values(values):
    page = (ROOT / "docs/deploy-kubernetes.md").read_text()
    created = dict(re.findall(r"create secret generic (\S+) (.*)", page.replace("\\\n ", "")))
    names = [values[f"{kind}SecretName"] for kind in ("fernetKey", "apiSecretKey", "jwt")]
    names += [values["data"]["metadataSecretName"], *(e["secretName"] for e in values["secret"])]
    assert created.keys() == set(names)
    for each in values["secret"]:
        assert f"{each['secretKey']}=" in created[each["secretName"]]


def test_image_and_airflow_have_the_versions_of_the_project(values):
    project = (ROOT / "pyproject.toml").read_text()
    pinned = re.search(r"^apache-airflow==(.*)$", (ROOT / "requirements.txt").read_text(), re.M)
    assert f'version = "{values["images"]["airflow"]["tag"]}"' in project
    assert pinned
    assert values["airflowVersion"] == pinned[1]
    base = re.search(r"^FROM opt-out-sync:(\S+)$", (FOLDER / "Dockerfile").read_text(), re.M)
    assert base
    assert base[1] == values["images"]["airflow"]["tag"]


def test_what_the_image_adds_agrees_with_what_is_there():
    def versions(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w-]+)==(\S+)", path.read_text(), re.MULTILINE))

    own, added = versions(ROOT / "requirements.txt"), versions(FOLDER / "requirements.txt")
    assert {"apache-airflow-providers-fab", "apache-airflow-providers-cncf-kubernetes"} <= set(
        added
    )
    both = own.keys() & added.keys()
    assert {name: added[name] for name in both} == {name: own[name] for name in both}


def test_the_memory_of_a_worker_holds_as_many_tasks_as_it_runs_at_once():
    celery, local = read("values.yaml"), read("local-executor.yaml")
    for tasks, limit in (
        (
            celery["config"]["celery"]["worker_concurrency"],
            celery["workers"]["celery"]["resources"]["limits"]["memory"],
        ),
        (
            local["config"]["core"]["parallelism"],
            local["scheduler"]["resources"]["limits"]["memory"],
        ),
    ):
        assert limit.endswith("Gi")
        assert int(limit.removesuffix("Gi")) > int(tasks)  # a task is promised 1 GB
