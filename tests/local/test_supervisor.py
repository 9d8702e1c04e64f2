import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local.supervisor import Identity, StopRequestedError, Supervisor, running, stop_leftovers

ROOT = Path(__file__).parents[2]
SUPERVISED = Path(__file__).with_name("supervised.py")

# A child that has a child of its own, which writes down its process id.
PARENT = "sleep 300 & echo $! > {pid_file}; wait"
# The same, but the parent ends at once: the grandchild has no parent any more.
ORPHANING = "(sleep 300 & echo $! > {pid_file}); sleep 300"
# The grandchild starts a session of its own, as daemons do.
DAEMON = (
    f"{sys.executable} -c 'import os, time; os.setsid(); time.sleep(300)' & "
    "echo $! > {pid_file}; wait"
)
STUBBORN = "trap '' TERM INT HUP; echo $$ > {pid_file}; while true; do sleep 0.1; done"


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], int]]]:
    """Start a supervisor of one command; returns it and the process id the command wrote down."""
    started = []

    def start(command: str) -> tuple[subprocess.Popen[str], int]:
        pid_file = tmp_path / "pid"
        supervisor = subprocess.Popen(
            [
                sys.executable,
                SUPERVISED,
                tmp_path / "run" / "processes.json",
                tmp_path / "logs",
                command.format(pid_file=pid_file),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(supervisor)
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "started\n"
        return supervisor, int(wait_for(lambda: pid_file.exists() and pid_file.read_text()))

    yield start
    stop_leftovers(tmp_path / "run" / "processes.json", grace=0)
    for supervisor in started:
        supervisor.kill()
        supervisor.communicate()


def wait_for(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_children_and_grandchildren(supervise, number, tmp_path):
    supervisor, grandchild = supervise(PARENT)
    assert is_running(grandchild)

    supervisor.send_signal(number)

    assert supervisor.wait(10) == 128 + number
    assert not is_running(grandchild)
    assert not (tmp_path / "run" / "processes.json").exists()


@pytest.mark.parametrize("command", [ORPHANING, DAEMON], ids=["no parent", "own session"])
def test_a_grandchild_that_left_the_family_is_found_by_its_mark(supervise, command):
    supervisor, grandchild = supervise(command)

    supervisor.terminate()

    supervisor.wait(10)
    assert not is_running(grandchild)


def test_a_child_that_ignores_every_polite_signal_is_killed_after_the_grace_time(supervise):
    supervisor, child = supervise(STUBBORN)

    begun = time.monotonic()
    supervisor.terminate()

    supervisor.wait(10)
    assert not is_running(child)
    assert time.monotonic() - begun >= 1.0


def test_a_child_that_dies_is_named_with_its_log(supervise, tmp_path):
    supervisor, _ = supervise("echo $$ > {pid_file}; echo reason; sleep 0.5; exit 3")

    assert supervisor.wait(10) == 1
    assert supervisor.stdout.read().strip() == (
        f"child-0 ended unexpectedly (exit status 3). Its log: {tmp_path / 'logs' / 'child-0.log'}"
    )
    assert (tmp_path / "logs" / "child-0.log").read_text() == "reason\n"


@pytest.mark.parametrize("command", [PARENT, ORPHANING, DAEMON])
def test_what_a_killed_supervisor_leaves_is_stopped_by_the_next_start(supervise, tmp_path, command):
    supervisor, grandchild = supervise(command)
    supervisor.kill()
    supervisor.wait(10)
    assert is_running(grandchild)

    assert stop_leftovers(tmp_path / "run" / "processes.json") == ["child-0"]

    assert not is_running(grandchild)
    assert stop_leftovers(tmp_path / "run" / "processes.json") == []


def test_a_process_that_only_has_a_recorded_id_is_left_alone(tmp_path):
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        record = tmp_path / "processes.json"
        long_ago = {"pid": stranger.pid, "started_at": time.time() - 86400}
        record.write_text(
            json.dumps(
                {
                    "mark": "nobody has this",
                    "supervisor": long_ago,
                    "guardian": None,
                    "children": {"emulator": long_ago},
                }
            )
        )

        assert running(record) is None
        assert stop_leftovers(record) == []

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_running_supervisor_is_recognised_and_abandoned_when_its_guardian_is_gone(tmp_path):
    record = tmp_path / "processes.json"
    guardian = subprocess.Popen(["sleep", "300"])
    with Supervisor(record, tmp_path, guardian=psutil.Process(guardian.pid)):
        found = running(record)
        assert found is not None
        assert found.supervisor == Identity.of(psutil.Process())
        assert not found.is_abandoned

        guardian.kill()
        guardian.wait()

        found = running(record)
        assert found is not None
        assert found.is_abandoned
    assert running(record) is None


def test_a_closed_terminal_stops_the_supervisor(tmp_path):
    ours, theirs = os.openpty()
    with Supervisor(tmp_path / "record", tmp_path, terminal=theirs) as supervisor:
        supervisor.check()
        os.close(ours)
        with pytest.raises(StopRequestedError, match="SIGHUP"):
            supervisor.check()
    os.close(theirs)


def test_a_corrected_clock_hides_no_process():
    process = psutil.Process()
    now = Identity.of(process)
    assert Identity(now.pid, now.started_at - 1).find() == process
    assert Identity(now.pid, now.started_at + 1).find() == process
    assert Identity(now.pid, now.started_at - 60).find() is None
