"""A whole night, step by step, against the same night made of Airflow's own parts.

    python -m benchmarks.night [--people N ...] [--rounds N] [--stock-up-to N] [--distant N]

Both sides agreed yesterday; 0.5 % unsubscribed in the store and as many in Salesforce. Each night
runs in a process of its own on a fresh copy of both systems; rounds are interleaved; times are
medians. "program" is the clock without the time spent waiting for Salesforce, which here is an
emulator on the same cores; the store's time is in it. "calls" are requests to Salesforce.

After each night of the product the limit of its size is measured (`benchmarks.limit`). `--distant`
lets both ways run once more with so many people against an emulator that takes as long for an
answer as a real org is assumed to: there the requests count, and the clock says more than the
program time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.limit import PARTS as OF_LIMIT
from benchmarks.night_world import Evening, evening
from benchmarks.sizes import TEN_MILLION, sizes

PARTS = (
    "preflight",
    "extract",
    "split",
    "decide",
    "merge",
    "audit",
    "load",
    "verify",
    "close",
    "night",
)
NAMES = {"seconds": "clock", "program": "program time", "cpu": "processor time"}
FIGURES = tuple(NAMES)
DISTANT = "realistic"  # of the emulator's profiles


def main() -> int:
    """Run the rounds and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, nargs="+", default=sizes())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stock-up-to", type=int, default=1_000_000)
    parser.add_argument("--distant", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    results = {}
    for people in options.people:
        ways = ["product"] + (["stock"] if people <= options.stock_up_to else [])
        rounds = options.rounds if people < TEN_MILLION else 1
        with _evening(people) as systems:
            results[people] = _play(systems, ways, rounds, "zero")
        print_table(f"{people:,} people, {people:,} records", results[people])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    if options.distant:
        people = options.distant
        with _evening(people) as systems:
            distant = _play(systems, ["product", "stock"], 1, DISTANT)
        print_table(f"{people:,} people, an answer of Salesforce takes 60 ms", distant)
    return 0


@contextmanager
def _evening(people: int) -> Iterator[Evening]:
    with tempfile.TemporaryDirectory() as folder, evening(Path(folder), people) as systems:
        yield systems


def _play(systems: Evening, ways: list[str], rounds: int, latency: str) -> dict[str, Any]:
    nights: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            nights[way].append(_night(systems, way, latency))
    return {way: _medians(each) for way, each in nights.items()}


def _night(systems: Evening, way: str, latency: str) -> dict[str, Any]:
    store = systems.again()
    systems.org.set_options(latency=latency)
    systems.org.reset_requests()
    environment = os.environ | {
        "AIRFLOW_CONN_SALESFORCE": systems.org.airflow_connection,
        "AIRFLOW_HOME": str(systems.folder / "airflow"),
        "REQUESTS_CA_BUNDLE": str(systems.org.own_ca),
    }
    found = _told("benchmarks.night_run", way, store, str(systems.folder), env=environment)
    found["calls"] = sum(systems.org.request_counts().values())
    if way == "product":
        found["limit"] = _told("benchmarks.limit", store, env=environment)
    return found


def _told(module: str, *arguments: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Run a module in a process of its own; what it prints last is JSON."""
    command = [sys.executable, "-m", module, *arguments]
    output = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told


def _medians(nights: list[dict[str, Any]]) -> dict[str, Any]:
    parts = {
        part: {
            figure: statistics.median(night["parts"][part][figure] for night in nights)
            for figure in FIGURES
        }
        for part in nights[0]["parts"]
    }
    peak = max(night["peak_mb"] for night in nights)
    found = {"parts": parts, "peak_mb": peak, "calls": nights[0]["calls"]}
    limits = [night["limit"] for night in nights if "limit" in night]
    if limits:
        found["limit"] = {name: min(each[name] for each in limits) for name in limits[0]}
    return found


def print_table(title: str, ways: dict[str, Any]) -> None:
    """Print what each part took."""
    print(f"\n{title}")
    header = "".join(f"{way + ' ' + figure:>18}" for way in ways for figure in FIGURES)
    print(f"{'':10}{header}")
    for part in PARTS:
        cells = "".join(
            f"{each['parts'][part][figure]:18.2f}" if part in each["parts"] else f"{'':18}"
            for each in ways.values()
            for figure in FIGURES
        )
        print(f"{part:10}{cells}".rstrip())
    for way, each in ways.items():
        print(f"{way}: peak {each['peak_mb']:,.0f} MB, {each['calls']:,} calls to Salesforce")
    if "stock" in ways:
        _print_ratios(ways["product"], ways["stock"])
    _print_limit(ways["product"])


def _print_ratios(product: dict[str, Any], stock: dict[str, Any]) -> None:
    ours, theirs = product["parts"]["night"], stock["parts"]["night"]
    times = ", ".join(
        f"{theirs[figure] / ours[figure]:.1f} times the {name}" for figure, name in NAMES.items()
    )
    memory = stock["peak_mb"] / product["peak_mb"]
    calls = stock["calls"] / product["calls"]
    print(f"stock: {times}, {memory:.1f} times the memory, {calls:.1f} times the calls")


def _print_limit(product: dict[str, Any]) -> None:
    """Say how far from the bare work of the database and the memory a night is."""
    known = product["limit"]
    parts = ", ".join(f"{name} {known[name]:.3f}" for name in OF_LIMIT)
    times = product["parts"]["night"]["program"] / known["limit"]
    print(
        f"the limit: {known['limit']:.2f} s ({parts}); the product takes {times:.1f} times as long"
    )


if __name__ == "__main__":
    sys.exit(main())
