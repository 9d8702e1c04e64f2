"""What the demo says while it starts: one line per step, with its time."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

_WIDTH = 34


class Console:
    """Writes to standard output at once, also where that is a file or a closed terminal."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._is_gone = False
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # names are in many scripts, terminals not

    def say(self, text: str = "", *, end: str = "\n") -> None:
        """Write a line. Once the terminal is gone nobody listens, and work goes on."""
        if self._is_gone:
            return
        try:
            print(text, end=end, flush=True)
        except (BrokenPipeError, OSError):
            self._is_gone = True

    @contextmanager
    def step(self, title: str) -> Iterator["Step"]:
        """Announce a step, then tell what came of it and how long it took."""
        self.say(f"  {title} ".ljust(_WIDTH, "."), end=" ")
        step, begun = Step(self), time.monotonic()
        try:
            yield step
        except BaseException:
            self.say()
            raise
        self.say(f"{step.result} ({time.monotonic() - begun:.1f} s)")

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun


class Step:
    """A step in progress; `result` is told when it ends."""

    def __init__(self, console: Console) -> None:
        self.result = "ready"
        self._console = console

    def note(self, text: str) -> None:
        """Tell a part of the step while it goes on."""
        self._console.say(text, end=" ")


def complain(sentence: str) -> None:
    """Say what went wrong, where errors are said."""
    print(sentence, file=sys.stderr, flush=True)
