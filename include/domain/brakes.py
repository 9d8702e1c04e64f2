"""Brakes: a mass clear waits for a person, an opt-out never does. Alerts: somebody should look."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is normal.

    Attributes:
        held_minimum: clears in 24 hours that always go through.
        held_fraction: of all links, clears in 24 hours that go through.
        writes_minimum: opt-outs in one run that are never told.
        writes_fraction: of all links, opt-outs in one run that are not told.
        drop_fraction: by how much the opted-out records of an object may become fewer.
        hidden_fraction: of an object's links, how many records may vanish in one night.
    """

    held_minimum: int = 5
    held_fraction: float = 0.001
    writes_minimum: int = 100
    writes_fraction: float = 0.05
    drop_fraction: float = 0.10
    hidden_fraction: float = 0.02


# Fewer records than this vanish every night somewhere: no permission was lost.
FEW_RECORDS = 5


def must_hold(planned: int, recent: int, links: int, limits: Limits) -> bool:
    """Tell whether the clears of a run have to wait for a person: all of them, or none.

    Args:
        planned: clears that the run would make.
        recent: clears that push, night and replay made in the last 24 hours.
        links: how many links there are.
        limits: of the settings.
    """
    return planned > 0 and planned + recent > max(limits.held_minimum, limits.held_fraction * links)


def alerts(
    *,
    opt_outs: int,
    links: int,
    opted_out: Mapping[str, tuple[int, int]],
    opted_out_before: Mapping[str, tuple[int, int]],
    lost: Mapping[str, tuple[int, int]],
    limits: Limits,
) -> list[str]:
    """Return one sentence per thing that is unusual; nothing waits for it.

    Args:
        opt_outs: opt-outs that the run writes on either side.
        links: links that were known before the run; 0 on the first night, which is never normal.
        opted_out: by object, how many records say opted out now, and how many there are.
        opted_out_before: the same of the last closed night.
        lost: by object, how many links lost their record, and how many there are.
        limits: of the settings.
    """
    return [
        *_many_opt_outs(opt_outs, links, limits),
        *_drops(opted_out, opted_out_before, limits),
        *_hidden(lost, limits),
    ]


def _many_opt_outs(opt_outs: int, links: int, limits: Limits) -> list[str]:
    if not links or opt_outs <= max(limits.writes_minimum, limits.writes_fraction * links):
        return []
    return [
        f"{opt_outs:,} opt-outs for {links:,} links are many for one run: if a data load ticked "
        "the box by mistake, undo it with: correct-run."
    ]


def _drops(
    now: Mapping[str, tuple[int, int]], before: Mapping[str, tuple[int, int]], limits: Limits
) -> list[str]:
    return [
        f"{before[obj][0] - count:,} of {before[obj][0]:,} opted-out {obj} records are opted out "
        "no more since the last night: somebody cleared them in bulk. The night sets again what "
        "no evidence ended."
        for obj, (count, _) in now.items()
        if obj in before
        and before[obj][0] - count > max(FEW_RECORDS, limits.drop_fraction * before[obj][0])
    ]


def _hidden(lost: Mapping[str, tuple[int, int]], limits: Limits) -> list[str]:
    """Salesforce says nothing when it hides records: many lost at once are a lost permission."""
    return [
        f"{count:,} of {known:,} linked {obj} records were not returned any more: if nobody "
        "deleted them, give the integration user View All on this object again."
        for obj, (count, known) in lost.items()
        if count > max(FEW_RECORDS, limits.hidden_fraction * known)
    ]
