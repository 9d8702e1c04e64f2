"""What the control API switches for the whole org, beside its data."""

from __future__ import annotations

from dataclasses import dataclass, field

from local.salesforce_emulator.latency import PROFILES, Latency


@dataclass(slots=True)
class Options:
    """Switches in force; a restored org has those of a new one, but keeps its latency.

    ``gzip`` compresses answers for clients that accept it, as a real org does; off by default,
    because it costs more than everything else the emulator does. ``shuffle_unordered`` answers
    queries without ORDER BY in an order which the seed makes and no client may rely on.
    ``unchanged_saves_stamp`` decides whether a save that changes nothing moves the stamps,
    ``row_contention`` whether batches of a parallel job lock each other's Accounts. A deploy waits
    in its queue until its status was asked for ``deploy_polls`` times, or the next one comes.
    """

    latency: Latency = field(default_factory=lambda: PROFILES["zero"])
    gzip: bool = False
    shuffle_unordered: int | None = None
    unchanged_saves_stamp: bool = True
    row_contention: bool = False
    deploy_polls: int = 0

    def reset(self) -> None:
        """Return to the switches of a new org."""
        fresh = Options(self.latency)
        self.gzip = fresh.gzip
        self.shuffle_unordered = fresh.shuffle_unordered
        self.unchanged_saves_stamp = fresh.unchanged_saves_stamp
        self.row_contention = fresh.row_contention
        self.deploy_polls = fresh.deploy_polls
