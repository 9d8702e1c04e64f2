"""The whole demo, killed in the middle of its night and started again. Takes about 90 seconds."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local import postgres
from local.demo.config import ROOT, Config
from local.supervisor import stop_leftovers

COMMAND = [sys.executable, "-m", "local.demo", "run", "--once"]


@pytest.fixture
def config(environment: dict[str, str]) -> Iterator[Config]:
    config = Config.from_environment(environment)
    yield config
    stop_leftovers(config.record)
    postgres.stop(config.postgres)


def processes_of(config: Config) -> list[str]:
    """Name what runs with this state folder in its arguments or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            texts = [*process.cmdline(), process.environ().get("AIRFLOW_HOME", "")]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(config.state) in text for text in texts):
            found.append(" ".join(process.cmdline()))
    return found


def wait_for_text(path: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while text not in path.read_text():
        assert process.poll() is None, path.read_text()
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.2)


@pytest.mark.timeout(600)
def test_a_demo_killed_in_its_night_ends_in_agreement_when_started_again(
    config, environment, tmp_path
):
    variables = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
    output = tmp_path / "output"
    with output.open("wb") as file:
        killed = subprocess.Popen(COMMAND, env=variables, stdout=file, stderr=file)
    wait_for_text(output, "One night ...", killed)
    time.sleep(4)  # somewhere between preflight and close
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(processes_of(config)) > 5

    again = subprocess.run(COMMAND, env=variables, capture_output=True, text=True, timeout=400)

    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith("Stopped what an earlier demo left running: ")
    assert "Sample company ................. there already" in again.stdout
    assert "Opt-outs written to the store: 61, to Salesforce: 93." in again.stdout
    assert "Opt-outs taken back in the store: 2, in Salesforce: 2." in again.stdout
    assert "all 4,297 people with a living record agree with it" in again.stdout
    pushed = re.findall(r"Salesforce knew (\d+\.\d\d) s later\.", again.stdout)
    assert len(pushed) == 2  # one while nothing ran, one while that push was still there
    assert all(float(seconds) < 30 for seconds in pushed)
    assert processes_of(config) == []
    assert not config.record.exists()
