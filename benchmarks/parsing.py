"""How long Airflow takes to read each DAG file.

    python -m benchmarks.parsing [--rounds N] [--json FILE]

Each file is imported in a fresh process: with Airflow imported already, as where the DAG processor
and a forked task read it, and with nothing imported, as where a task starts a new interpreter.
Medians. "new modules" are those that the file brings with it; `airflow.sdk` is what every DAG file
of anybody imports.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.table import Goal, heading, line

ROOT = Path(__file__).resolve().parent.parent
GOAL = 0.5  # seconds
AIRFLOW = (
    "import airflow.dag_processing.dagbag, airflow.sdk, airflow.providers.standard.operators.python"
)
PARSE = """
import sys, time
{before}
known, began = len(sys.modules), time.perf_counter()
import {module}
print(time.perf_counter() - began, len(sys.modules) - known)
"""


def main() -> int:
    """Measure every file and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    files = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
    found = {}
    for title, before in (("Airflow imported already", AIRFLOW), ("nothing imported", "")):
        heading(title)
        modules = files if before else ["airflow.sdk", *files]
        found[title] = {each: _measure(each, before, options.rounds) for each in modules}
        for each, figures in found[title].items():
            text = f"{figures['seconds']:.3f} s, {figures['modules']:,} new modules"
            goal = Goal.below(GOAL, figures["seconds"], f"< {GOAL} s") if before else None
            line(each, text, goal)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def _measure(module: str, before: str, rounds: int) -> dict[str, Any]:
    runs = [_parse(module, before) for _ in range(rounds)]
    return {"seconds": statistics.median(seconds for seconds, _ in runs), "modules": runs[0][1]}


def _parse(module: str, before: str) -> tuple[float, int]:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "dags", ROOT / "plugins")))
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE.format(before=before, module=module)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    seconds, modules = printed.splitlines()[-1].split()
    return float(seconds), int(modules)


if __name__ == "__main__":
    sys.exit(main())
