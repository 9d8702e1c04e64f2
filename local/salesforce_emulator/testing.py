"""The emulator for tests: started on free ports, driven through its control API, stopped cleanly.

A session fixture wraps ``running_emulator``; a function fixture yields its emulator and calls
``reset()`` afterwards, as ``tests/emulator/conftest.py`` does.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from local.salesforce_emulator.connection import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from local.salesforce_emulator.running import Api, EmulatorError, RunningEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Api", "EmulatorError", "RunningEmulator", "Size", "free_ports", "longest_start",
    "running_emulator", "start_emulator", "stop_emulator",
]  # fmt: skip

_PROJECT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_SEEDED_PER_SECOND = 2_000  # on a slow and busy machine; twenty times as many on a good one
_STOP_SECONDS = 15.0
_PORTS = range(15_000, 32_000)
_LOTS = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Size:
    """How many records a new org has, and from which seed."""

    contacts: int = 120
    leads: int = 40
    seed: int = 7


@contextlib.contextmanager
def running_emulator(
    folder: Path, size: Size | None = None, *, environment: Mapping[str, str] | None = None
) -> Iterator[RunningEmulator]:
    """Start an emulator on free ports with its files in ``folder``, and stop it at the end.

    A folder used before keeps its records: nothing is seeded again. The org as it starts is
    kept aside, so that ``emulator.reset()`` after each test gives the next one a fresh org.

    Raises:
        EmulatorError: it ended or did not answer in time; its output is in the message.
    """
    emulator = start_emulator(folder, size or Size(), environment=environment)
    try:
        emulator.snapshot()
        yield emulator
    finally:
        stop_emulator(emulator)


def longest_start(size: Size) -> float:
    """Return how many seconds a start may take: seeding takes its time before the first answer."""
    return _START_SECONDS + (size.contacts + size.leads) / _SEEDED_PER_SECOND


def start_emulator(
    folder: Path, size: Size, *, environment: Mapping[str, str] | None = None
) -> RunningEmulator:
    """Start an emulator and wait until it answers; the caller stops it."""
    folder.mkdir(parents=True, exist_ok=True)
    http_port, tls_port = free_ports(2)
    command = [
        sys.executable, "-m", "local.salesforce_emulator",
        "--http-port", str(http_port), "--tls-port", str(tls_port),
        "--database", str(folder / "salesforce.db"),
        "--contacts", str(size.contacts), "--leads", str(size.leads), "--seed", str(size.seed),
        "--client-id", DEFAULT_CLIENT_ID, "--client-secret", DEFAULT_CLIENT_SECRET,
    ]  # fmt: skip
    with (folder / "emulator.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=_PROJECT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    emulator = RunningEmulator(process, http_port, tls_port, folder)
    try:
        _wait_until_healthy(emulator, longest_start(size))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return emulator


def stop_emulator(emulator: RunningEmulator) -> int:
    """Ask the emulator to end and return its exit code; repeating it changes nothing.

    Raises:
        EmulatorError: it did not end and had to be killed.
    """
    if emulator.process.poll() is None:
        emulator.process.send_signal(signal.SIGTERM)
    try:
        return emulator.process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        emulator.process.kill()
        emulator.process.wait()
        raise EmulatorError("the emulator ignored SIGTERM and was killed") from error


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on at the moment.

    They lie below those that systems give to outgoing connections, and are drawn by lot: whoever
    starts something at the same time, and calls whomever, hardly ever gets the same.
    """
    with contextlib.ExitStack() as listeners:
        ports: list[int] = []
        while len(ports) < count:
            listener = listeners.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):  # somebody listens there
                listener.bind(("127.0.0.1", _LOTS.choice(_PORTS)))
                ports.append(int(listener.getsockname()[1]))
        return ports


def _wait_until_healthy(emulator: RunningEmulator, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if emulator.process.poll() is not None:
            break
        if _answers(emulator):
            return
        time.sleep(0.05)
    output = (emulator.folder / "emulator.log").read_text(encoding="utf-8")[-2_000:]
    raise EmulatorError(f"the emulator did not start:\n{output}")


def _answers(emulator: RunningEmulator) -> bool:
    try:
        health = requests.get(f"{emulator.http_url}/__emulator__/health", timeout=2)
    except (requests.ConnectionError, requests.Timeout):
        return False
    return bool(health.json()["pid"] == emulator.process.pid)
