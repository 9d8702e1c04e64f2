"""The merge against its goals, and against the naive way: a join on strings, a rule per row.

    python -m benchmarks.merge [SIZE ...]

Each case runs in a process of its own, so that peak memory is its own. Rounds are interleaved; the
least time counts, because whatever else a machine does only ever adds to it, and the greatest peak.
"cpu" is processor time: on a busy machine it is nearer to the truth than the clock.
The naive way is left out above 100,000 people: it would take minutes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measuring import peak_of_memory
from benchmarks.sizes import sizes
from benchmarks.worlds import EMAIL, READ_AT, Size, make_world
from include.domain import groups, merge, plan, store_state
from include.domain.evidence import Findings
from include.domain.frames import Extract

ROUNDS = 3
NAIVE_UP_TO = 100_000

Way = Callable[[], int]


def whole(world: Extract, size: Size) -> Way:
    """Merge as the night does: life cycle, join, groups, rules, audit frame with sentences."""

    def run() -> int:
        result = merge.merge(world, size.choices, readable=size.readable, read_at=READ_AT)
        return len(result.decisions)

    return run


def rules(world: Extract, size: Size) -> Way:
    """Only decide: what the groups come to, and what is done with each aligned link."""
    of = merge._World.of(world, size.choices, size.readable, merge._micros(READ_AT))
    links, formed = of.align(), of.groups
    nobody, none = np.zeros(size.people, bool), np.zeros(formed.count, bool)
    no_act = np.zeros(size.people, np.int64)
    findings = Findings(none, none, no_act, no_act, pd.DataFrame())
    strength = merge._strength(of.people, links, of.acts, store_state.newest(of.acts, size.people))

    def run() -> int:
        result = groups.outcome(links, formed, nobody, nobody, size.choices)
        made = plan.plan(links, formed, result, findings, strength)
        return int(made.changes.sum())

    return run


def naive(world: Extract, size: Size) -> Way:
    """Join object strings and decide row by row: no checks of Ids, no groups, no sentences."""

    def run() -> int:
        people = world.people.assign(
            is_out=world.people["person_id"].isin(world.opt_outs["person_id"])
        )
        joined = (
            people.astype({"salesforce_id": object})
            .merge(
                world.records.astype({"record_id": object}),
                left_on="salesforce_id",
                right_on="record_id",
            )
            .merge(world.links.astype({"record_id": object}), on=["person_id", "record_id"])
        )
        decided: Any = joined.apply(_rule, axis="columns")
        return int(decided.notna().sum())

    return run


def _rule(row: Any) -> str | None:
    store, salesforce, base = row["is_out"], row[EMAIL], row["base"]
    if store and salesforce:
        return None if base else "both"
    if store:
        return "to Salesforce"
    return "to store" if salesforce else None


WAYS: dict[str, Callable[[Extract, Size], Way]] = {"whole": whole, "rules": rules, "naive": naive}
CASES: dict[str, tuple[str, Callable[[int], Size]]] = {
    "rules": ("rules", Size),
    "rules, both fields": ("rules", lambda n: Size(n, both=True)),
    "whole": ("whole", Size),
    "whole, both fields": ("whole", lambda n: Size(n, both=True)),
    "whole, 1 % evidence": ("whole", lambda n: Size(n, evidence=n // 100)),
    "whole, 1 % converted": ("whole", lambda n: Size(n, converted=0.01)),
    "whole, all of it": (
        "whole",
        lambda n: Size(n, both=True, evidence=n // 100, converted=0.01),
    ),
    "naive": ("naive", Size),
}


def measure(case: str, people: int) -> dict[str, float]:
    """Time one case; peak is the growth of resident memory, in MB."""
    way, sized = CASES[case]
    size, small = sized(people), sized(1_000)
    WAYS[way](make_world(small), small)()  # imports and caches are not what is measured
    run = WAYS[way](make_world(size), size)
    with peak_of_memory() as peak:
        started, used = time.perf_counter(), time.process_time()
        decided = run()
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
    return {"seconds": seconds, "cpu": cpu, "peak_mb": max(peak) / 2**20, "decided": decided}


def main(sizes: tuple[int, ...]) -> None:
    """Print a table: least seconds, greatest peak."""
    print(f"{'people':>10}  {'case':<22} {'seconds':>8} {'cpu':>8} {'peak MB':>8} {'decided':>8}")
    for size in sizes:
        cases = [case for case in CASES if case != "naive" or size <= NAIVE_UP_TO]
        rounds = [{case: _in_a_process(case, size) for case in cases} for _ in range(ROUNDS)]
        for case in cases:
            seconds = min(each[case]["seconds"] for each in rounds)
            cpu = min(each[case]["cpu"] for each in rounds)
            peak = max(each[case]["peak_mb"] for each in rounds)
            decided = rounds[0][case]["decided"]
            print(
                f"{size:>10,}  {case:<22} {seconds:>8.2f} {cpu:>8.2f} {peak:>8.0f} {decided:>8,.0f}"
            )


def _in_a_process(case: str, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.merge", "--measure", case, str(size)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    measured: dict[str, float] = json.loads(output)
    return measured


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        main(tuple(int(size.replace("_", "")) for size in sys.argv[1:]) or sizes())
