"""Measures the emulator itself, so that nobody takes its time for the program's.

    python -m benchmarks.emulator [--contacts N] [--leads N]

Seeds a million Contacts and 300,000 Leads, then plays what a night asks of Salesforce. Each line
shows the wall clock, the processor time of the emulator's own process, and the goal. On a busy
machine the wall clock says little; the processor time still does.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from local.salesforce_emulator.testing import Api, RunningEmulator, Size, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

OPT_OUT = "HasOptedOutOfEmail"
QUERY = "SELECT Id, HasOptedOutOfEmail, SystemModstamp, LastModifiedById FROM Contact"
PAGES, PATCHES, COLLECTIONS = 50, 500, 50
MEGABYTE = 1 << 20


@dataclass
class Line:
    """One measurement: seconds, or a number of its own kind, beside its goal."""

    name: str
    wall: float
    cpu: float
    goal: float | None = None


@dataclass
class Bench:
    """Measurements of one running emulator."""

    emulator: RunningEmulator
    process: psutil.Process
    lines: list[Line] = field(default_factory=list)
    peak_bytes: int = 0

    @contextlib.contextmanager
    def measured(self, name: str, goal: float | None = None) -> Iterator[None]:
        """Measure what happens inside."""
        started, cpu = time.perf_counter(), self._cpu()
        yield
        wall = time.perf_counter() - started
        self.lines.append(Line(name, wall, self._cpu() - cpu, goal))
        self.peak_bytes = max(self.peak_bytes, self.process.memory_info().rss)

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def main() -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--leads", type=int, default=300_000)
    options = parser.parse_args()
    size = Size(options.contacts, options.leads)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with running_emulator(Path(folder), size) as emulator:
            process = psutil.Process(emulator.process.pid)
            bench = Bench(emulator, process)
            spent = process.cpu_times()
            seeding = Line(
                "start, seed, snapshot",
                time.perf_counter() - started,
                spent.user + spent.system,
                15.0,
            )
            bench.lines.append(seeding)
            _play(bench)
            _print(bench, size)
    return 0


def _play(bench: Bench) -> None:
    api = Api(bench.emulator)
    with bench.measured("snapshot", 1.0):
        bench.emulator.snapshot()
    with bench.measured("query job, all Contacts", 3.0):
        job_id = _run_job(api, "query", {"operation": "query", "query": QUERY})
    with bench.measured("download its result"):
        ids = _download(api, job_id)
    upload = ("Id," + OPT_OUT + "\n" + "".join(f"{each},true\n" for each in ids)).encode()
    document = {"operation": "update", "object": "Contact"}
    with bench.measured("ingest job, all Contacts", 8.0):
        _run_job(api, "ingest", document, upload)
    with bench.measured("restore", 1.0):
        bench.emulator.reset()
    _play_small(bench, api, ids)


def _play_small(bench: Bench, api: Api, ids: list[str]) -> None:
    with bench.measured(f"REST query, {PAGES} pages"):
        page = api.query("SELECT Id, LastName, Email FROM Contact").json()
        for _ in range(PAGES - 1):
            if page["done"]:
                break
            url = bench.emulator.http_url + page["nextRecordsUrl"]
            page = api.session.get(url, timeout=60).json()
    with bench.measured(f"{PATCHES} single updates"):
        for record_id in ids[:PATCHES]:
            api.call("PATCH", f"sobjects/Contact/{record_id}", json={OPT_OUT: True})
    records = [{"attributes": {"type": "Contact"}, "Id": each, OPT_OUT: True} for each in ids[:200]]
    with bench.measured(f"{COLLECTIONS} collections of 200 updates"):
        for _ in range(COLLECTIONS):
            api.call("PATCH", "composite/sobjects", json={"records": records})


def _run_job(api: Api, kind: str, document: dict[str, str], upload: bytes | None = None) -> str:
    job_id = str(api.call("POST", f"jobs/{kind}", json=document).json()["id"])
    if upload is not None:
        api.call("PUT", f"jobs/ingest/{job_id}/batches", data=upload)
        api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    while (job := api.get(f"jobs/{kind}/{job_id}").json())["state"] != "JobComplete":
        if job["state"] == "Failed":
            raise SystemExit(f"the {kind} job failed: {job.get('errorMessage')}")
        time.sleep(0.02)
    return job_id


def _download(api: Api, job_id: str) -> list[str]:
    ids: list[str] = []
    locator: str | None = None
    while locator != "null":
        params = {"maxRecords": "250000"} | ({"locator": locator} if locator else {})
        response = api.get(f"jobs/query/{job_id}/results", params=params)
        ids += [row["Id"] for row in csv.DictReader(io.StringIO(response.text))]
        locator = response.headers["Sforce-Locator"]
    return ids


def _print(bench: Bench, size: Size) -> None:
    print(f"{size.contacts:,} Contacts, {size.leads:,} Leads")
    print(f"{'':34}{'wall s':>9}{'cpu s':>9}{'goal s':>9}")
    for line in bench.lines:
        goal = "" if line.goal is None else f"{line.goal:.0f}"
        print(f"{line.name:34}{line.wall:9.2f}{line.cpu:9.2f}{goal:>9}")
    print(f"{'peak memory, MB (goal 1000)':34}{bench.peak_bytes / MEGABYTE:9.0f}")
    server_ms = bench.emulator.control("GET", "requests")["server_ms"]
    print(f"time of the server as it reports it since the restore: {server_ms:,.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
