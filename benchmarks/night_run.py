"""One night in processes of its own; `benchmarks.night` starts it.

The project's steps run in a process each, forked off a scheduler that has imported everything, as
`LocalExecutor` forks them. The stock parts hand frames to each other, so they share a process that
has imported the same. Memory is the greatest growth of any process.
"""
# ruff: noqa: E402 - waiting is counted from the start

from benchmarks.measuring import Measured, count_waiting, measured

count_waiting()

import gc
import json
import multiprocessing
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.night_ways import WAYS, Way
from include.store.database import connect

FIGURES = ("seconds", "program", "cpu")
OF_EVERY_TASK = ("airflow.sdk.execution_time.task_runner",)  # what runs it has this
FORK = multiprocessing.get_context("fork")

Spent = tuple[Measured, Any]


def run(way: Way, store: str, folder: Path) -> dict[str, object]:
    """Run a night one way and return what each part took."""
    parts: dict[str, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=folder) as staging, measured() as whole:
        night, result = way.parts(connect(store), Path(staging)), None
        while True:
            try:
                part, work = night.send(result)
            except StopIteration:
                break
            spent, result = (_apart if way.in_processes else _here)(work)
            parts[part].append(spent)
    everything = [each for every in parts.values() for each in every]
    peak = max(each.peak_mb for each in everything) if way.in_processes else whole.peak_mb
    figures = {part: _sums(every) for part, every in parts.items()}
    return {"parts": {**figures, "night": _sums(everything)}, "peak_mb": peak}


def _sums(every: list[Measured]) -> dict[str, float]:
    return {figure: sum(getattr(each, figure) for each in every) for figure in FIGURES}


def _here(work: Callable[[], Any]) -> Spent:
    with measured() as spent:
        result = work()
    return spent, result


def _apart(work: Callable[[], Any]) -> Spent:
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_in_child, args=(theirs, work))
    gc.freeze()  # as the executor does around its fork: a child's collector looks at its own only
    process.start()
    gc.unfreeze()
    theirs.close()
    spent: Spent = ours.recv()
    process.join()
    return spent


def _in_child(told: Connection, work: Callable[[], Any]) -> None:
    told.send(_here(work))


if __name__ == "__main__":
    scheduler = import_module("plugins.unsubscribe_sync_preload")
    scheduler.preload((*scheduler.LIBRARIES, *scheduler.PROJECT, *OF_EVERY_TASK))
    print(json.dumps(run(WAYS[sys.argv[1]], sys.argv[2], Path(sys.argv[3]))))
