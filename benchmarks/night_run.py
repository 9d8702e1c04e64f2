"""One night in a process of its own; `benchmarks.night` starts it."""

# ruff: noqa: E402 - waiting is counted from the start

from benchmarks.measuring import Measured, count_waiting, measured

count_waiting()

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.night_ways import WAYS
from include.store.database import connect

FIGURES = ("seconds", "program", "cpu")


def run(way: str, store: str, folder: Path) -> dict[str, object]:
    """Run a night one way and return what each part took."""
    engine = connect(store)
    parts: dict[str, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=folder) as staging, measured() as whole:
        for part, work in WAYS[way](engine, Path(staging)):
            with measured() as spent:
                work()
            parts[part].append(spent)
    parts["night"] = [whole]
    return {
        "parts": {
            part: {figure: sum(getattr(each, figure) for each in every) for figure in FIGURES}
            for part, every in parts.items()
        },
        "peak_mb": whole.peak_mb,
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
