"""What is built for Amazon MWAA, laid out as MWAA lays it out, and read by Airflow there."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deploy.layout import found_in

ROOT = Path(__file__).parents[2]
MWAA = ROOT / "deploy" / "mwaa"
BUILD = [sys.executable, MWAA / "build.py"]
STAGING = "s3://a-bucket/opt-out-sync"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder that goes to the bucket."""
    folder = tmp_path_factory.mktemp("mwaa") / "built"
    subprocess.run([*BUILD, folder, "--staging", STAGING], check=True, cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def seen(built, tmp_path_factory):
    """What Airflow finds in /usr/local/airflow after MWAA has unpacked the bucket there."""
    home = tmp_path_factory.mktemp("usr-local") / "airflow"
    home.mkdir()
    (home / "dags").symlink_to(built / "dags")
    with zipfile.ZipFile(built / "plugins.zip") as archive:
        archive.extractall(home / "plugins")
    return found_in(home, {})  # MWAA lets nobody change Python's path


def test_airflow_reads_every_dag_from_what_was_built(seen):
    assert seen["dag errors"] == {}
    assert seen["dags"] == sorted(path.stem for path in (ROOT / "dags").glob("*.py"))


def test_airflow_loads_both_plugins_and_no_module_of_the_project_as_a_plugin(seen):
    assert seen["plugin errors"] == {}
    ours = [name for name in seen["plugins"] if name.startswith("unsubscribe_sync")]
    assert sorted(ours) == ["unsubscribe_sync", "unsubscribe_sync_pages"]
    assert seen["strays"] == []  # a plugin replaces the module that has its bare file name


def test_every_module_of_the_project_and_its_pages_are_found_beside_the_plugins(seen):
    assert Path(seen["include"]) == seen["home"] / "plugins/include/__init__.py"
    assert seen["pages"]


def test_everything_that_is_not_python_is_in_the_archive(built):
    with zipfile.ZipFile(built / "plugins.zip") as archive:
        names = set(archive.namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "include").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= names
    assert not any("__pycache__" in name or name.startswith(("local", "tests")) for name in names)


def test_the_same_sources_make_the_same_archive(built, tmp_path):
    subprocess.run([*BUILD, tmp_path / "again", "--staging", STAGING], check=True)
    first, second = ((folder / "plugins.zip") for folder in (built, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


def test_the_startup_script_exports_the_staging_location_to_the_shell_that_sources_it(built):
    told = subprocess.run(
        ["bash", "-c", f". {built / 'startup.sh'} && env"],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"OPT_OUT_SYNC_STAGING={STAGING}" in told.stdout.splitlines()


def test_a_folder_is_refused_as_staging_because_workers_share_no_disk(tmp_path):
    done = subprocess.run(
        [*BUILD, tmp_path / "built", "--staging", "file:///tmp"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "share no disk" in done.stderr
    assert not (tmp_path / "built").exists()


def versions(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==(\S+)", path.read_text(), re.MULTILINE))


def required() -> list[str]:
    return re.findall(r"^([\w-]+)$", (MWAA / "requirements.txt").read_text(), re.MULTILINE)


def test_the_constraints_name_a_version_of_everything_that_is_installed(built):
    assert set(required()) <= versions(MWAA / "constraints.txt").keys()
    (path,) = re.findall(r'^--constraint "(.*)"$', (built / "requirements.txt").read_text(), re.M)
    assert (built / "dags" / Path(path).name).is_file()
    assert Path(path).parent == Path("/usr/local/airflow/dags")


def test_what_is_added_has_the_version_that_the_tests_run_with():
    own = versions(ROOT / "requirements.txt")
    fixed_by_mwaa = {"apache-airflow", "sqlalchemy", "s3fs"}
    added = versions(MWAA / "constraints.txt")
    assert {name: own.get(name) for name in added.keys() - fixed_by_mwaa} == {
        name: version for name, version in added.items() if name not in fixed_by_mwaa
    }
    assert added["apache-airflow"].rsplit(".", 1)[0] == own["apache-airflow"].rsplit(".", 1)[0]
