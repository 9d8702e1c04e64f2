"""What is laid out for Astro, read by Airflow as Astro Runtime's image has it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.layout import found_in

ROOT = Path(__file__).parents[2]
ASTRO = ROOT / "deploy" / "astronomer"
BUILD = [sys.executable, ASTRO / "build.py"]
HOME = "/usr/local/airflow"
DOCKERFILE = (ASTRO / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("astro") / "airflow"
    subprocess.run([*BUILD, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def seen(built):
    """What Airflow finds; the image copies the project to its home and sets the path."""
    path = re.search(r'^ENV PYTHONPATH="(.*)"$', DOCKERFILE, re.MULTILINE)
    assert path
    return found_in(
        built, {"PYTHONPATH": path[1].replace(HOME, str(built)).replace("${PYTHONPATH}", "")}
    )


def test_airflow_reads_every_dag_and_plugin_from_what_was_built(seen):
    assert seen["dag errors"] == {}
    assert seen["dags"] == sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
    assert seen["plugin errors"] == {}
    assert {"unsubscribe_sync", "unsubscribe_sync_pages"} <= set(seen["plugins"])
    assert seen["strays"] == []


def test_the_project_is_found_beside_the_dags(seen):
    assert Path(seen["include"]) == seen["home"] / "include/__init__.py"
    assert seen["pages"]


def test_building_again_removes_what_is_gone_and_keeps_what_the_cli_put_there(built):
    (built / ".astro").mkdir(exist_ok=True)
    (built / "dags" / "removed_since.py").touch()
    subprocess.run([*BUILD, built], check=True)
    assert (built / ".astro").exists()
    assert not (built / "dags" / "removed_since.py").exists()


def test_the_files_that_astro_asks_for_are_there(built):
    assert {"Dockerfile", "packages.txt", "requirements.txt"} <= {p.name for p in built.iterdir()}
    assert not list(built.rglob("__pycache__"))


def test_runtime_and_python_are_ones_that_the_project_is_for():
    image = re.search(r"^FROM \S+/runtime:(3\.\d+)-\d+-python-(3\.\d+)$", DOCKERFILE, re.M)
    own = (ROOT / "requirements.txt").read_text()
    pinned = re.search(r"^apache-airflow==(3\.\d+)", own, re.MULTILINE)
    assert image
    assert pinned
    assert image[1] == pinned[1]
    assert image[2] in ("3.11", "3.12", "3.13")  # requires-python of the project


def test_what_is_added_has_the_version_that_the_tests_run_with():
    pins = re.compile(r"^([\w-]+)==(\S+)", re.MULTILINE)
    own = dict(pins.findall((ROOT / "requirements.txt").read_text()))
    added = dict(pins.findall((ASTRO / "requirements.txt").read_text()))
    assert len(added) >= 6
    assert {name: own[name] for name in added} == added
    assert not {"apache-airflow", "sqlalchemy"} & added.keys()  # the runtime brings them
