import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with only what the setup reads; its requirements need no package index."""
    (tmp_path / "local" / "demo").mkdir(parents=True)
    script = (ROOT / "local" / "demo" / "setup.sh").read_text()
    (tmp_path / "local" / "demo" / "setup.sh").write_text(script)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", checkout / "local" / "demo" / "setup.sh"],
        env={**os.environ, "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True,
    )


def fake_python(folder: Path, script: str) -> Path:
    python = folder / "fake-python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return python


def test_the_environment_is_created_and_then_left_alone(checkout):
    first = set_up(checkout)
    assert first.returncode == 0, first.stderr
    assert "Creating .venv" in first.stdout
    assert "Installing requirements.txt" in first.stdout

    second = set_up(checkout)
    assert (second.returncode, second.stdout) == (0, "")


def test_changed_requirements_are_installed(checkout):
    set_up(checkout)
    (checkout / "requirements.txt").write_text("# nothing else\n")
    assert set_up(checkout).stdout.startswith("Installing requirements.txt")


def test_what_could_not_be_installed_is_not_taken_for_installed(checkout):
    (checkout / "requirements.txt").write_text("no-such-package==1.0\n")
    for _ in range(2):
        failed = set_up(checkout)
        assert failed.returncode == 1
        assert failed.stderr.splitlines()[-1] == (
            "The packages of requirements.txt could not be installed: see pip's message above."
        )


@pytest.mark.parametrize("version", ["3.10.14", "3.14.1", "2.7.18"])
def test_another_python_is_refused_in_one_sentence(checkout, version):
    python = fake_python(checkout, f'[ "$1" = --version ] && echo Python {version} || exit 1')
    refused = set_up(checkout, PYTHON=str(python))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Python 3.11, 3.12 or 3.13 is needed; {python} is: Python {version}. "
        "Install one, or name it: make setup PYTHON=/path/to/python3.12\n"
    )


def test_a_missing_python_is_told_in_one_sentence(checkout):
    refused = set_up(checkout, PYTHON="no-such-python")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Python 3.11, 3.12 or 3.13 is needed; no-such-python is: ")
    assert refused.stderr.count("\n") == 1


def test_a_python_without_venv_is_told_in_one_sentence(checkout):
    python = fake_python(checkout, 'case "$2" in *venv*) exit 1;; esac')
    refused = set_up(checkout, PYTHON=str(python))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"{python} lacks the module venv. "
        "Install it (Debian, Ubuntu: apt install python3-venv) and run make again.\n"
    )
