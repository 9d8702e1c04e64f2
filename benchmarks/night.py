"""A whole night, step by step, against the same night made of Airflow's own parts.

    python -m benchmarks.night [--people N ...] [--rounds N] [--stock-up-to N]

Both sides agreed yesterday; 0.5 % unsubscribed in the store and as many in Salesforce. Each night
runs in a process of its own on a fresh copy of both systems; rounds are interleaved; times are
medians. "program" is the clock without the time spent waiting for Salesforce, which here is an
emulator on the same cores; the store's time is in it. "calls" are requests to Salesforce.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.night_world import Evening, evening

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
FIGURES = ("seconds", "program", "cpu")


def main() -> int:
    """Run the rounds and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stock-up-to", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    results = {}
    for people in options.people:
        ways = ["product"] + (["stock"] if people <= options.stock_up_to else [])
        with tempfile.TemporaryDirectory() as folder, evening(Path(folder), people) as systems:
            results[people] = _play(systems, ways, options.rounds)
        print_table(people, results[people])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


def _play(systems: Evening, ways: list[str], rounds: int) -> dict[str, Any]:
    nights: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            nights[way].append(_night(systems, way))
    return {way: _medians(each) for way, each in nights.items()}


def _night(systems: Evening, way: str) -> dict[str, Any]:
    store = systems.again()
    systems.org.reset_requests()
    environment = os.environ | {
        "AIRFLOW_CONN_SALESFORCE": systems.org.airflow_connection,
        "AIRFLOW_HOME": str(systems.folder / "airflow"),
        "REQUESTS_CA_BUNDLE": str(systems.org.own_ca),
    }
    command = [sys.executable, "-m", "benchmarks.night_run", way, store, str(systems.folder)]
    output = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    found["calls"] = sum(systems.org.request_counts().values())
    return found


def _medians(nights: list[dict[str, Any]]) -> dict[str, Any]:
    parts = {
        part: {
            figure: statistics.median(night["parts"][part][figure] for night in nights)
            for figure in FIGURES
        }
        for part in nights[0]["parts"]
    }
    peak = max(night["peak_mb"] for night in nights)
    return {"parts": parts, "peak_mb": peak, "calls": nights[0]["calls"]}


def print_table(people: int, ways: dict[str, Any]) -> None:
    """Print what each part took."""
    print(f"\n{people:,} people, {people:,} records")
    header = "".join(f"{way + ' ' + figure:>18}" for way in ways for figure in FIGURES)
    print(f"{'':10}{header}")
    for part in PARTS:
        cells = "".join(
            f"{each['parts'][part][figure]:18.2f}" if part in each["parts"] else f"{'':18}"
            for each in ways.values()
            for figure in FIGURES
        )
        print(f"{part:10}{cells}")
    for way, each in ways.items():
        print(f"{way}: peak {each['peak_mb']:,.0f} MB, {each['calls']:,} calls to Salesforce")
    if "stock" in ways:
        product, stock = ways["product"], ways["stock"]
        times = stock["parts"]["night"]["program"] / product["parts"]["night"]["program"]
        memory = stock["peak_mb"] / product["peak_mb"]
        print(f"stock: {times:.1f} times the program time, {memory:.1f} times the memory")


if __name__ == "__main__":
    sys.exit(main())
