"""A table of measurements that can be read while it grows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be, and whether it is."""

    text: str
    is_met: bool

    @classmethod
    def below(cls, most: float, figure: float, text: str) -> "Goal":
        """State that a figure should be less than something."""
        return cls(text, figure < most)

    @classmethod
    def above(cls, least: float, figure: float, text: str) -> "Goal":
        """State that a figure should be more than something."""
        return cls(text, figure > least)


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds, measured one by one."""

    seconds: Sequence[float]

    def percentile(self, percent: float) -> float:
        """Return what so many percent stay below."""
        return float(np.percentile(self.seconds, percent))

    def __str__(self) -> str:
        """Return what one wants to know of them."""
        half, high, longest = (self.percentile(percent) for percent in (50, 95, 100))
        return f"p50 {half:.3f} s, p95 {high:.3f} s, max {longest:.3f} s (n={len(self.seconds)})"


def heading(text: str) -> None:
    """Begin a part of the table."""
    print(f"\n{text}", flush=True)


def line(name: str, figure: object, goal: Goal | None = None) -> None:
    """Show a figure as soon as it is known."""
    met = "" if goal is None else f"  {goal.text}: {'met' if goal.is_met else 'MISSED'}"
    print(f"  {name:<28} {figure!s:<58}{met}".rstrip(), flush=True)
