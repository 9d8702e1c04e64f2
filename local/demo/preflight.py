"""What must be true before anything is started; each refusal is one sentence."""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from local.demo import DemoError
from local.demo.config import Config
from local.supervisor import Running, running, stop_leftovers

_TAKEOVER_SECONDS = 60


@contextmanager
def only_one(config: Config) -> Iterator[None]:
    """Let one demo at a time use the state folder; the lock ends with the process, however it ends.

    A demo whose `make` was killed is asked to stop, and waited for.

    Raises:
        DemoError: another demo runs.
    """
    config.state.mkdir(parents=True, exist_ok=True)
    with (config.state / "demo.lock").open("w") as lock:
        deadline = time.monotonic() + _TAKEOVER_SECONDS
        while not _try_lock(lock.fileno()):
            _make_way(config, running(config.record))
            if time.monotonic() > deadline:
                raise DemoError(
                    f"Another demo uses {config.state} and does not end: stop it first."
                )
            time.sleep(0.2)
        yield


def stop_what_was_left(config: Config) -> list[str]:
    """Stop the processes of a demo that was killed; return their names."""
    return stop_leftovers(config.record)


def require_free_ports(config: Config) -> None:
    """Raise DemoError, naming the variable to change, if a port is taken."""
    for variable, port in config.ports.items():
        if _is_taken(port):
            raise DemoError(
                f"Port {port} is taken{_by_whom(port)}. "
                f"Choose another one: make demo {variable}={port + 1}"
            )


def guardian() -> psutil.Process | None:
    """Return the `make` that started this process: when it is gone, so is the person's interest."""
    return psutil.Process(os.getppid()) if "MAKELEVEL" in os.environ else None


def terminal() -> int | None:
    """Return the terminal in which this process runs, if it runs in one."""
    standard_input = 0
    return standard_input if os.isatty(standard_input) else None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_way(config: Config, other: Running | None) -> None:
    if other is None:  # it just began or just ended
        return
    pid = other.supervisor.pid
    if not other.is_abandoned:
        raise DemoError(
            f"The demo is already running (process {pid}): {config.airflow_url}. "
            f"Stop it first, with Ctrl-C in its terminal or: kill {pid}"
        )
    process = other.supervisor.find()
    if process is not None:
        process.send_signal(signal.SIGTERM)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _by_whom(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells only root
        return ""
    pids = [
        connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:2] == (port,)
    ]
    return _describe(pids[0]) if pids else ""


def _describe(pid: int | None) -> str:
    try:
        return f" by {psutil.Process(pid).name()} (process {pid})" if pid else ""
    except psutil.NoSuchProcess:
        return ""
