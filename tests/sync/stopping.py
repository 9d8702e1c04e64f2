"""Work that is killed, or put to sleep, just before or just after anything leaves its process.

Boundaries are found where they are: every commit, and every request to Salesforce. The work runs in
a fork of the test, with connections of its own.
"""

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from include.audit.runs import StaleAttemptError
from include.domain.errors import PermanentSyncError, TransientSyncError
from tests.sync.killing import watched_client, watched_engine
from tests.sync.world import World

FINISHED, FAILED, FENCED_OFF, LOST, REFUSED = 0, 1, 3, 4, 5
"""How a process ends: well, by a bug, as a stale attempt, without its connection, by Salesforce."""
Work = Callable[[World], object]


@dataclass(frozen=True)
class Stopped:
    """A process that was stopped at a boundary."""

    pid: int
    boundaries: list[str]
    is_there: bool  # asleep; otherwise it was killed, or had finished before the boundary

    def wake(self) -> int:
        """Let it go on to its end; returns how that was."""
        os.kill(self.pid, signal.SIGCONT)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def boundaries(world: World, work: Work, folder: Path) -> list[str]:
    """Do something in a fork, and list what left the process."""
    done = run(world, work, folder, None, signal.SIGKILL)
    assert not done.is_there
    return done.boundaries


def run(
    world: World, work: Work, folder: Path, stop_at: int | None, how: signal.Signals
) -> Stopped:
    """Do something in a fork that gets a signal at boundary number `stop_at`."""
    progress = folder / f"progress-{os.getpid()}"
    progress.write_text("")
    child = os.fork()
    if child == 0:
        _be_the_child(world, work, progress, stop_at, how)
    _, status = os.waitpid(child, os.WUNTRACED)
    is_there = os.WIFSTOPPED(status)
    if not is_there and not os.WIFSIGNALED(status):
        error = progress.with_suffix(".error")
        assert os.waitstatus_to_exitcode(status) == FINISHED, error.read_text()
    return Stopped(child, progress.read_text().splitlines(), is_there)


def _be_the_child(
    world: World, work: Work, progress: Path, stop_at: int | None, how: signal.Signals
) -> None:
    number = -1

    def at(label: str) -> None:
        nonlocal number
        number += 1
        with progress.open("a") as file:
            file.write(label + "\n")
        if number == stop_at:
            os.kill(os.getpid(), how)

    status = FAILED
    try:
        world.engine = watched_engine(world.engine.url.render_as_string(hide_password=False), at)
        world.client_of = lambda _: watched_client(at)
        status = _how_it_ends(work, world)
    except BaseException:
        progress.with_suffix(".error").write_text(traceback.format_exc())
        raise
    finally:
        os._exit(status)


def _how_it_ends(work: Work, world: World) -> int:
    try:
        work(world)
    except StaleAttemptError:
        return FENCED_OFF
    except TransientSyncError:
        return LOST
    except PermanentSyncError:
        return REFUSED
    return FINISHED
