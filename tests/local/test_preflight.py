import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from local.demo import DemoError
from local.demo.config import ROOT, Config, published, read_addresses
from local.demo.preflight import only_one, require_free_ports
from local.supervisor import Supervisor

# Uses the state folder as a demo does, and says so.
HOLDER = """
import sys, time
from local.demo.config import Config
from local.demo.preflight import guardian, only_one
from local.supervisor import StopRequestedError, Supervisor
config = Config.from_environment()
with only_one(config), Supervisor(config.record, config.logs, guardian=guardian()):
    print("holding", flush=True)
    try:
        time.sleep(60)
    except StopRequestedError:
        print("stopped", flush=True)
"""


@pytest.fixture
def config(environment) -> Config:
    return Config.from_environment(environment)


@pytest.fixture
def holder(environment) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


def test_free_ports_are_fine(config):
    require_free_ports(config)


@pytest.mark.parametrize("variable", ["AIRFLOW_PORT", "EMULATOR_HTTP_PORT", "EMULATOR_TLS_PORT"])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_told_with_its_owner_and_the_variable_to_change(config, variable, address):
    port = config.ports[variable]
    with socket.socket() as taken:
        taken.bind((address, port))
        taken.listen()
        with pytest.raises(DemoError) as refusal:
            require_free_ports(config)
    sentence = str(refusal.value)
    assert sentence.startswith(f"Port {port} is taken")
    assert sentence.endswith(f"Choose another one: make demo {variable}={port + 1}")
    if sys.platform == "linux":
        assert f"(process {os.getpid()})" in sentence


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "8080.5"])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(DemoError, match="AIRFLOW_PORT must be a port from 1 to 65535"):
        Config.from_environment({"AIRFLOW_PORT": text})


def test_an_empty_port_is_the_default():
    assert Config.from_environment({"AIRFLOW_PORT": ""}).airflow_port == 8080


def test_two_equal_ports_are_refused_before_anything_starts():
    with pytest.raises(DemoError, match="three different ports"):
        Config.from_environment({"AIRFLOW_PORT": "18080"})


def test_a_second_demo_is_refused_while_the_first_runs(config, holder):
    with pytest.raises(DemoError) as refusal, only_one(config):
        pass
    assert f"already running (process {holder.pid})" in str(refusal.value)
    assert holder.poll() is None


def test_a_killed_demo_blocks_nobody(config, holder):
    holder.kill()
    holder.wait()
    with only_one(config):
        pass


def test_a_demo_whose_make_was_killed_makes_way(config, environment, tmp_path):
    # sh plays make: the holder is its child and knows it by MAKELEVEL.
    output = tmp_path / "output"
    make = subprocess.Popen(
        ["sh", "-c", f'"$0" -c "$1" > {output}; true', sys.executable, HOLDER],
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "MAKELEVEL": "1"},
    )
    for _ in range(200):
        if output.exists() and "holding" in output.read_text():
            break
        time.sleep(0.05)
    make.kill()
    make.wait()

    with only_one(config):
        assert output.read_text() == "holding\nstopped\n"


def test_a_supervisor_stops_when_its_guardian_is_gone(tmp_path):
    guardian = subprocess.Popen(["sleep", "60"])
    with Supervisor(
        tmp_path / "record", tmp_path, guardian=psutil.Process(guardian.pid)
    ) as supervisor:
        supervisor.check()
        guardian.kill()
        guardian.wait()
        with pytest.raises(BaseException, match="SIGHUP"):
            supervisor.check()


def test_commands_find_the_demo_only_while_it_is_up(config):
    config.addresses.parent.mkdir(parents=True)
    with pytest.raises(DemoError, match="The demo is not up"):
        read_addresses(config)
    with published(config, "postgresql://store"):
        assert read_addresses(config).store == "postgresql://store"
    with pytest.raises(DemoError, match="The demo is not up"):
        read_addresses(config)
