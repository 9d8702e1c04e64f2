"""Start the processes of the demo, watch them, and leave none behind.

Every child runs in a session of its own, so that a Ctrl-C in the terminal reaches only this
process, which then stops the others in order. A child that starts children of its own (Airflow
does) is stopped with all of them, also those whose parent is already gone: they are known by a
mark in their environment, which every descendant inherits.

What was started is recorded in a file (process id and start time, because ids are used again), so
that after a SIGKILL of this process the next start finds and stops what is left.
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self
from uuid import uuid4

import psutil

MARK = "OPT_OUT_SYNC_SUPERVISOR"
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME_START_SECONDS = 5.0  # a start time moves with every correction of the system's clock
_SECOND_THOUGHT_SECONDS = 1.0  # a signal later than this after the first is a person's second one


class ChildDiedError(Exception):
    """A process that should be running has ended."""


class StopRequestedError(BaseException):
    """A signal asked this process to stop; no `except Exception` may hide that."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that is not mistaken for a later one with the same id."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Name a process so that another program can find it."""
        return cls(process.pid, process.create_time())

    def find(self) -> psutil.Process | None:
        """Return this very process if it still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < _SAME_START_SECONDS
            return process if same and _is_alive(process) else None
        except psutil.NoSuchProcess:
            return None


@dataclass(frozen=True, slots=True)
class Child:
    """One started process and where its output goes."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]
    process: psutil.Process


@dataclass(slots=True)
class Supervisor:
    """Starts children and stops them all, with their descendants, on leaving the `with` block.

    Args:
        record: file that remembers what runs, for the start after a SIGKILL.
        logs: folder that receives `<name>.log` per child; a start appends to it.
        grace: seconds between asking a process to end (TERM) and ending it (KILL).
        guardian: a process without which the children shall not go on (`make`).
        terminal: file descriptor of the terminal without which they shall not either.
    """

    record: Path
    logs: Path
    grace: float = 10.0
    guardian: psutil.Process | None = None
    terminal: int | None = None
    mark: str = field(default_factory=lambda: uuid4().hex)
    _children: list[Child] = field(default_factory=list)
    _stopping_since: float | None = None
    _hurry: bool = False
    _shielded: bool = False
    _pending: int | None = None

    def __enter__(self) -> Self:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)  # programs log what they like
        self._write_record()
        for number in STOPPING_SIGNALS:
            # nohup ignores SIGHUP on purpose: leave that as it is.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping_since = self._stopping_since or time.monotonic()
        self.stop_all()
        self.record.unlink(missing_ok=True)

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> Child:
        """Start a child in its own session, with its output appended to its log."""
        log = self.logs / f"{name}.log"
        with self.shield(), log.open("ab") as output:
            popen = subprocess.Popen(
                [str(part) for part in command],
                env={**environment, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            child = Child(name, log, popen, psutil.Process(popen.pid))
            self._children.append(child)
            self._write_record()
        return child

    def finish(self, child: Child, timeout: float) -> int:
        """Wait until a child that is meant to end has ended; return its exit status."""
        status = child.popen.wait(timeout)
        self._children.remove(child)
        self._write_record()
        return status

    def check(self) -> None:
        """Raise ChildDiedError, naming its log, if a child has ended.

        Raises StopRequestedError if the guardian has, or if the terminal was closed: `make` as the
        first process of a terminal does not pass that signal on.
        """
        for child in self._children:
            status = child.popen.poll()
            if status is not None:
                raise ChildDiedError(
                    f"{child.name} ended unexpectedly ({describe_status(status)}). "
                    f"Its log: {child.log}"
                )
        if self.guardian is not None and not _is_alive(self.guardian):
            self._stop(signal.SIGHUP)
        if self.terminal is not None and _is_hung_up(self.terminal):
            self._stop(signal.SIGHUP)

    def wait_until(
        self, condition: Callable[[], bool], timeout: float, *, every: float = 0.2
    ) -> bool:
        """Wait for a condition while watching the children; False when time is up."""
        deadline = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(every)
        return True

    def stop_all(self) -> None:
        """Stop every child and every descendant: TERM, the grace time, then KILL. Repeatable."""
        roots = {child.process for child in self._children}
        descendants = _descendants(roots)
        _signal(roots, signal.SIGTERM)
        _wait_for(roots, self.grace, lambda: self._hurry)
        # Whoever outlived its parent, or was born during the stop, had no TERM yet.
        rest = roots | descendants | marked(self.mark)
        _signal(rest, signal.SIGTERM)
        _wait_for(rest, self.grace / 5, lambda: self._hurry)
        _kill(rest | marked(self.mark))
        for child in self._children:
            child.popen.wait()
        self._children.clear()

    def _write_record(self) -> None:
        content = {
            "mark": self.mark,
            "supervisor": asdict(Identity.of(psutil.Process())),
            "guardian": asdict(Identity.of(self.guardian)) if self.guardian else None,
            "children": {each.name: asdict(Identity.of(each.process)) for each in self._children},
        }
        self.record.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.record.with_suffix(".new")
        fresh.write_text(json.dumps(content, indent=1))
        fresh.replace(self.record)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Hold signals back until a just started process is known: it must not be lost."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
            if self._pending is not None:
                self._stop(self._pending)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping_since is not None:
            # A second Ctrl-C does not interrupt the clean-up: it shortens it. (A signal to the
            # whole process group arrives twice: from the terminal and from make.)
            self._hurry = time.monotonic() - self._stopping_since > _SECOND_THOUGHT_SECONDS
        elif self._shielded:
            self._pending = number
        else:
            self._stop(number)

    def _stop(self, number: int) -> None:
        self._stopping_since = time.monotonic()
        raise StopRequestedError(number)


def stop_leftovers(record: Path, *, grace: float = 5.0) -> list[str]:
    """Stop what a killed supervisor left running, if its record names any.

    Returns:
        The names of the children that were still there; never of a process that only has the same
        id. Repeating it finds nothing.
    """
    if not record.exists():
        return []
    content = json.loads(record.read_text())
    children = {name: Identity(**entry) for name, entry in content["children"].items()}
    alive = [name for name, identity in children.items() if identity.find()]
    roots = {process for identity in children.values() if (process := identity.find())}
    leftovers = roots | _descendants(roots) | marked(content["mark"])
    _signal(leftovers, signal.SIGTERM)
    _wait_for(leftovers, grace, lambda: False)
    _kill(leftovers | marked(content["mark"]))
    record.unlink()
    return alive


@dataclass(frozen=True, slots=True)
class Running:
    """A supervisor that runs, and whether the process it depends on is gone."""

    supervisor: Identity
    is_abandoned: bool


def running(record: Path) -> Running | None:
    """Return the supervisor that wrote this record if it still runs."""
    if not record.exists():
        return None
    content = json.loads(record.read_text())
    supervisor = Identity(**content["supervisor"])
    guardian = content["guardian"]
    abandoned = guardian is not None and Identity(**guardian).find() is None
    return Running(supervisor, abandoned) if supervisor.find() else None


def marked(mark: str) -> set[psutil.Process]:
    """Find the processes that carry this mark, whoever their parent is by now."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.pid != os.getpid():
                found.add(process)
        except (psutil.Error, OSError):  # somebody else's process, or one that just ended
            continue
    return found


def describe_status(status: int) -> str:
    """Put an exit status into words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _descendants(roots: Iterable[psutil.Process]) -> set[psutil.Process]:
    descendants = set()
    for root in roots:
        try:
            descendants.update(root.children(recursive=True))
        except psutil.NoSuchProcess:  # ended meanwhile: its children carry the mark
            continue
    return descendants


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:  # it ended first, which is what was wanted
            continue


def _is_alive(process: psutil.Process) -> bool:
    try:
        # A zombie has ended; where nobody collects orphans (containers) it stays listed for ever.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _wait_for(processes: set[psutil.Process], seconds: float, hurry: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while any(map(_is_alive, processes)) and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)


def _kill(processes: set[psutil.Process]) -> None:
    _signal(processes, signal.SIGKILL)
    _wait_for(processes, 5, lambda: False)
