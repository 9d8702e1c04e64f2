"""Bars over nights, as SVG that needs no script. What it shows also stands in a table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from include.reports.nights import Night, NightState

HEIGHT: Final = 100.0
GAP: Final = 0.2  # of a bar's width
MANY_NIGHTS: Final = 60  # from here on a gap is less than a dot of the screen
MOST_CODES: Final = 6
LEAST_NIGHTS: Final = 14
QUIET: Final = frozenset({"AGREED", "FIRST_SEEN_AGREED"})
"""Codes of links that were in agreement: they would hide everything else."""


@dataclass(frozen=True, slots=True)
class Part:
    """One coloured piece of a bar; `series` is its place in the legend."""

    series: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One night: its pieces from the bottom up, and what a pointer is told."""

    x: float
    width: float
    parts: Sequence[Part]
    title: str
    state: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A stacked bar chart in a box of `width` by `HEIGHT`.

    Attributes:
        title: what it counts.
        legend: names of the series.
        bars: oldest first.
        top: the value at the upper edge.
        summary: the chart in one sentence, for whoever cannot see it.
    """

    title: str
    legend: Sequence[str]
    bars: Sequence[Bar]
    top: int
    summary: str

    @property
    def width(self) -> int:
        """One unit per night; the first nights are bars, too, and no walls."""
        return max(len(self.bars), LEAST_NIGHTS)


def carried(nights: Sequence[Night]) -> Chart:
    """Chart the opt-outs of each night by direction, and what pushes did before it."""
    values = [(n.opt_outs_to_salesforce, n.opt_outs_to_store, n.pushed) for n in nights]
    return chart(
        "Opt-outs carried", ("to Salesforce", "to the store", "pushed before it"), nights, values
    )


def conflicts(nights: Sequence[Night]) -> Chart:
    """Chart the decisions of each night by code, those that changed nothing left out."""
    totals: dict[str, int] = {}
    for night in nights:
        for code, count in night.codes.items():
            if code not in QUIET:
                totals[code] = totals.get(code, 0) + count
    shown = sorted(totals, key=lambda code: (-totals[code], code))[:MOST_CODES]
    is_more = len(totals) > len(shown)
    values = []
    for night in nights:
        known = [night.codes.get(code, 0) for code in shown]
        others = sum(night.codes.get(code, 0) for code in totals if code not in shown)
        values.append((*known, others) if is_more else tuple(known))
    return chart("Decisions by code", (*shown, "others") if is_more else shown, nights, values)


def failures(nights: Sequence[Night]) -> Chart:
    """Chart the writes of each night that failed, and the clears that wait for a person."""
    values = [(n.failed, n.held) for n in nights]
    return chart("Failed and held", ("failed writes", "held clears"), nights, values)


def chart(
    title: str,
    legend: Sequence[str],
    nights: Sequence[Night],
    values: Sequence[Sequence[int]],
) -> Chart:
    """Stack the values of each night.

    Args:
        title: what is counted.
        legend: a name for each series.
        nights: oldest first.
        values: a row per night, a value per series.
    """
    top = max((sum(row) for row in values), default=0)
    gap = GAP if len(nights) <= MANY_NIGHTS else 0.0
    bars = [
        Bar(
            x=place + gap / 2,
            width=1 - gap,
            parts=_stacked(row, top),
            title=_told(night, legend, row),
            state=night.state.value,
        )
        for place, (night, row) in enumerate(zip(nights, values, strict=True))
    ]
    return Chart(title, tuple(legend), bars, top, _summary(title, legend, nights, values))


def _stacked(row: Sequence[int], top: int) -> list[Part]:
    parts, bottom = [], HEIGHT
    for series, value in enumerate(row):
        height = HEIGHT * value / top if top else 0.0
        if height:
            bottom -= height
            parts.append(Part(series, round(bottom, 3), round(height, 3)))
    return parts


def _told(night: Night, legend: Sequence[str], row: Sequence[int]) -> str:
    counts = ", ".join(f"{name} {value:,}" for name, value in zip(legend, row, strict=True))
    state = "" if night.state is NightState.GREEN else f" ({night.state.value})"
    return f"{night.night.isoformat()}{state}: {counts}" if counts else night.night.isoformat()


def _summary(
    title: str, legend: Sequence[str], nights: Sequence[Night], values: Sequence[Sequence[int]]
) -> str:
    if not nights:
        return f"{title}: no night yet."
    totals = [sum(column) for column in zip(*values, strict=True)]
    counts = ", ".join(f"{name} {total:,}" for name, total in zip(legend, totals, strict=True))
    first, last = nights[0].night.isoformat(), nights[-1].night.isoformat()
    return f"{title}, {len(nights)} nights from {first} to {last}: {counts or 'none'}."
