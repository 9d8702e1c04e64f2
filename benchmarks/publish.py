"""Runs every benchmark and writes docs/benchmarks.md, with the plot of the night beside it.

    python -m benchmarks.publish [NAME ...]

Names are those of the modules here: night, merge, audit, push, emulator. The others keep what the
page says of them. `SIZE=10m` in the environment adds ten million people to the first two. Figures
are what this machine did while it did whatever else it did: run it alone.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks-night.svg"
BENCHMARKS = {
    "night": "A whole night, against Airflow's own parts",
    "merge": "The merge alone",
    "audit": "The pages, over a year of nights",
    "push": "The push, against a stock sensor",
    "overhead": "Airflow's own share of a night",
    "parsing": "Reading the DAG files",
    "room": "Room in the database and in staging",
    "emulator": "The emulator itself",
}
HEAD = """# Benchmarks

`make bench` writes this page. Each section says on which machine, when and at which commit.
Everything runs on one machine: PostgreSQL and the [emulator](emulator.md) share its cores with the
program, so the clock says less than the ratios within one table. Nothing here was measured against
a real org, whose answers take longer.
"""


def main() -> int:
    """Run the benchmarks named, or all; write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sections = _sections(PAGE.read_text(encoding="utf-8") if PAGE.exists() else "")
    for name in names:
        sections[name] = _section(name)
        PAGE.write_text(_page(sections), encoding="utf-8")
    return 0


def _section(name: str) -> str:
    said = where()  # before the plot is written, which would make the tree a changed one
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if name == "night":
            command += ["--json", str(figures), "--distant", "100000"]
        printed = _run(command)
        if name == "night":
            plot(json.loads(figures.read_text()), PLOT)
    image = f"\n![Time and memory of a night]({PLOT.name})\n" if name == "night" else ""
    return f"{said}\n{image}\n```text\n{printed.strip()}\n```\n"


def _run(command: list[str]) -> str:
    """Run a benchmark in front of who waits for it, and return what it printed."""
    lines = []
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed; {PAGE.name} keeps what it said before")
    return "".join(lines)


def where() -> str:
    """Say when, at which commit and on which machine this is."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.strip()
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}, {_processor()}, "
        f"{os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n\n", page, flags=re.MULTILINE)[1:]
    titles = {title: name for name, title in BENCHMARKS.items()}
    found = zip(parts[::2], parts[1::2], strict=True)
    return {titles[title]: body for title, body in found if title in titles}


def _page(sections: dict[str, str]) -> str:
    known = [(title, sections[name]) for name, title in BENCHMARKS.items() if name in sections]
    return HEAD + "".join(f"\n## {title}\n\n{body.strip()}\n" for title, body in known)


def plot(sizes: dict[str, Any], destination: Path) -> None:
    """Draw time and memory of both ways by size; the axes are logarithmic."""
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for way, colour in (("product", "#0b6bcb"), ("stock", "#8a8f98")):
        known = {int(people): each[way] for people, each in sizes.items() if way in each}
        style = {"marker": "o", "color": colour, "label": way}
        time.plot(
            list(known), [each["parts"]["night"]["program"] for each in known.values()], **style
        )
        memory.plot(list(known), [each["peak_mb"] for each in known.values()], **style)
    for axis, title in ((time, "program time, s"), (memory, "peak memory of a process, MB")):
        axis.set(xscale="log", yscale="log", xlabel="people", title=title)
        axis.grid(visible=True, alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(destination, format="svg", metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
