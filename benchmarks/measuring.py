"""Measures a piece of work: clock, processor, memory, and how long it waited for Salesforce."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import psutil


@dataclass
class Measured:
    """What one piece of work took."""

    seconds: float = 0.0
    waited: float = 0.0  # for answers of Salesforce, and asleep between questions
    cpu: float = 0.0  # of this process
    peak_mb: float = 0.0  # growth of resident memory

    @property
    def program(self) -> float:
        """The clock without the waiting: what the program and its database took."""
        return self.seconds - self.waited


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure what happens inside."""
    result = Measured()
    with peak_of_memory() as peak:
        waited = sum(_WAITS)
        started, used = time.perf_counter(), time.process_time()
        yield result
        result.seconds = time.perf_counter() - started
        result.cpu = time.process_time() - used
    result.waited, result.peak_mb = sum(_WAITS) - waited, max(peak) / 2**20


@contextmanager
def peak_of_memory() -> Iterator[list[int]]:
    """Sample how far resident memory grows, in bytes, every few milliseconds."""
    process, done = psutil.Process(), Event()
    before = process.memory_info().rss
    growth = [0]

    def sample() -> None:
        while not done.wait(0.005):
            growth.append(process.memory_info().rss - before)

    sampler = Thread(target=sample)
    sampler.start()
    try:
        yield growth
    finally:
        done.set()
        sampler.join()


def count_waiting() -> None:
    """From now on count how long this process waits for sockets of Python's, or sleeps.

    That is Salesforce: PostgreSQL's drivers are written in C and open sockets of their own. Call it
    before anything else is imported: who has `sleep` in its hands already keeps the old one.
    """
    places: list[tuple[Any, str]] = [(ssl.SSLSocket, "recv_into"), (socket.socket, "recv_into")]
    for place, name in [*places, (time, "sleep")]:
        setattr(place, name, _timed(getattr(place, name)))


def _timed(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if _IS_INSIDE[0]:
            return original(*args, **kwargs)
        _IS_INSIDE[0], started = True, time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            _WAITS.append(time.perf_counter() - started)
            _IS_INSIDE[0] = False

    return run


_WAITS: list[float] = []
_IS_INSIDE = [False]  # one thread asks
