"""The scheduler with what its tasks need imported already."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from plugins.unsubscribe_sync_preload import LIBRARIES, ONLY_LIBRARIES, PROJECT

ROOT = Path(__file__).parents[2]


@pytest.fixture
def become_airflow(tmp_path):
    """Runs a command of Airflow's in a fresh interpreter: what it says, what is imported then."""
    code = (
        "import sys\n"
        "from plugins.unsubscribe_sync_preload import main\n"
        "main(sys.argv[1:])\n"
        "print(*sys.modules)\n"
    )

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        *_, said, modules = done.stdout.splitlines()
        return said, set(modules.split())

    return run


@pytest.mark.parametrize("module", [*LIBRARIES, *PROJECT])
def test_what_is_imported_beforehand_is_there(module):
    import_module(module)


@pytest.mark.timeout(180)
def test_it_imports_and_becomes_airflow(become_airflow):
    said, modules = become_airflow("version")
    assert said == "3.3.2"
    assert {*LIBRARIES, *PROJECT} <= modules


@pytest.mark.timeout(180)
def test_whoever_changes_this_project_leaves_it_out(become_airflow):
    said, modules = become_airflow(ONLY_LIBRARIES, "version")
    assert said == "3.3.2"
    assert {*LIBRARIES} <= modules
    assert not {*PROJECT} & modules
