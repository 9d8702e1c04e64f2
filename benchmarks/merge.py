"""The merge against what one writes first: a join on strings and a rule per row.

    python -m benchmarks.merge [SIZE ...]

Each case runs in a process of its own, so that peak memory is its own; rounds are interleaved and
the median counts. The naive way is left out above 100,000 people: it would take minutes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from threading import Event, Thread
from typing import Any

import psutil

from benchmarks.worlds import World, make_world
from include.domain.merge import merge
from include.domain.values import SalesforceObject

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 3
NAIVE_UP_TO = 100_000


def ours(world: World) -> int:
    """Merge as the night does, audit frame with sentences included."""
    result = merge(
        world.people,
        world.records,
        world.links,
        readable=tuple(SalesforceObject),
        field="HasOptedOutOfEmail",
    )
    return len(result.decisions)


def naive(world: World) -> int:
    """Join object strings and decide row by row: no checks of Ids, no sentences."""
    joined = (
        world.people.astype({"salesforce_id": object})
        .merge(
            world.records.astype({"record_id": object}),
            left_on="salesforce_id",
            right_on="record_id",
            suffixes=("", "_salesforce"),
        )
        .merge(world.links.astype({"record_id": object}), on=["person_id", "record_id"])
    )
    decided: Any = joined.apply(_rule, axis="columns")
    return int(decided.notna().sum())


def _rule(row: Any) -> str | None:
    store, salesforce, base = row["is_opted_out"], row["is_opted_out_salesforce"], row["base"]
    if store and salesforce:
        return None if base else "both"
    if store:
        return "to Salesforce"
    return "to store" if salesforce else None


WAYS: dict[str, Callable[[World], int]] = {"ours": ours, "naive": naive}


def measure(way: str, size: int) -> dict[str, float]:
    """Time one way on one size; peak is the growth of resident memory, in MB."""
    world = make_world(size)
    WAYS[way](make_world(1_000))  # imports and caches are not what is measured
    with _peak_of_memory() as peak:
        started = time.perf_counter()
        decided = WAYS[way](world)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": max(peak) / 2**20, "decided": decided}


@contextmanager
def _peak_of_memory() -> Iterator[list[int]]:
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


def main(sizes: tuple[int, ...]) -> None:
    """Print a table of medians."""
    print(f"{'people':>10}  {'way':<6} {'seconds':>8} {'peak MB':>8} {'decided':>8}")
    for size in sizes:
        ways = [way for way in WAYS if way == "ours" or size <= NAIVE_UP_TO]
        rounds = [{way: _in_a_process(way, size) for way in ways} for _ in range(ROUNDS)]
        for way in ways:
            found = {name: median(each[way][name] for each in rounds) for name in rounds[0][way]}
            print(
                f"{size:>10,}  {way:<6} {found['seconds']:>8.2f} {found['peak_mb']:>8.0f}"
                f" {found['decided']:>8,.0f}"
            )


def _in_a_process(way: str, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.merge", "--measure", way, str(size)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    measured: dict[str, float] = json.loads(output)
    return measured


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        main(tuple(int(size.replace("_", "")) for size in sys.argv[1:]) or SIZES)
