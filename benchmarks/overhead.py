"""Airflow's own share of a night: a whole night in a real Airflow, divided by who had the clock.

    python -m benchmarks.overhead [--people N] [--nights N] [--json FILE]

Each set of settings gets an Airflow of its own with LocalExecutor, and runs some nights; the one
in the middle is shown. Its clock is divided into

* steps: a step of this project was at work, from the row that says it began to the row that says
  it finished (`opt_out_sync.sync_step`); the emulator's time is in it;
* tasks: a task ran, but no step: Airflow started its process, read the DAG file, the task imported
  and connected, and told Airflow that it had ended. `report` is no step and counts here;
* between: no task ran. The scheduler had not seen yet that one had ended, or the executor had not
  started the next.

Processor time is that of Airflow's four components and of the tasks that they start, from before
the night to after it. A busy machine spoils the clock more than that.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from benchmarks.night_world import Evening, evening
from benchmarks.overhead_clock import NightClock, Span, divide, tasks_that_ran
from benchmarks.push_airflow import IDLE_SLEEP, PLAIN, PRELOADED, components, cpu_seconds
from include.store.database import connect
from local.demo.airflow_api import AirflowApi, DagRun
from local.demo.airflow_env import airflow_environment
from local.demo.config import ROOT, Config
from local.demo.credentials import Credentials
from local.salesforce_emulator.testing import free_ports
from local.supervisor import Supervisor

DAG_ID = "unsubscribe_nightly_sync"
STEPS = """
SELECT started_at, finished_at FROM opt_out_sync.sync_step
WHERE finished_at IS NOT NULL AND sync_run_id = (SELECT max(id) FROM opt_out_sync.sync_run)
"""
PATIENCE = 600.0  # seconds, on a busy machine


@dataclass(frozen=True, slots=True)
class Setting:
    """A scheduler to compare: its command, and how long it sleeps when it has nothing to do."""

    name: str
    scheduler: Sequence[str]
    sleep: str


SETTINGS = (
    Setting("Airflow's stock settings", PLAIN, "1"),
    Setting("looking ten times a second", PLAIN, "0.1"),
    Setting("imported beforehand", PRELOADED, "1"),
    Setting("both, as docs/deploy.md starts it", PRELOADED, "0.1"),
)


def main() -> int:
    """Run the nights and print a table for each set of settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with evening(home, options.people) as systems:
            print(f"{options.people:,} people, {options.people:,} records", flush=True)
            for number, setting in enumerate(SETTINGS):
                nights = _nights(systems, home / str(number), setting, options.nights)
                found[setting.name] = _in_the_middle(nights)
                _print(setting.name, found[setting.name])
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def _nights(systems: Evening, home: Path, setting: Setting, nights: int) -> list[NightClock]:
    """Start Airflow, and run so many nights, each on the same evening; the first is not counted."""
    home.mkdir()
    config = Config(home, *free_ports(3))
    environment = {**_environment(systems, config), IDLE_SLEEP: setting.sleep}
    with _airflow(config, environment, setting.scheduler) as running:
        return [_night(systems, *running) for _ in range(nights + 1)][1:]


def _environment(systems: Evening, config: Config) -> Mapping[str, str]:
    """Build the environment of an Airflow that knows the nightly DAG only."""
    dags = config.state / "dags"
    dags.mkdir()
    config.staging.mkdir()
    shutil.copy(ROOT / "dags" / f"{DAG_ID}.py", dags)
    known = airflow_environment(
        config,
        Credentials(),
        metadata_url=systems.server.create_database(f"airflow_{config.state.name}"),
        store_url=systems.again(),
        base={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    return known | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW_CONN_SALESFORCE": systems.org.airflow_connection,
        "REQUESTS_CA_BUNDLE": str(systems.org.ca_bundle),
    }


@contextmanager
def _airflow(
    config: Config, environment: Mapping[str, str], scheduler: Sequence[str]
) -> Iterator[tuple[AirflowApi, list[psutil.Process]]]:
    api, begun = AirflowApi(config.airflow_url), datetime.now(UTC)
    with Supervisor(config.state / "processes.json", config.state / "logs", grace=5.0) as processes:
        parts = components(processes, environment, scheduler)
        alive = {"api_server", "scheduler", "dag_processor"}
        if not (
            processes.wait_until(lambda: alive <= {*api.healthy_components(begun)}, PATIENCE)
            and processes.wait_until(lambda: api.has_dag(DAG_ID), PATIENCE)
        ):
            raise SystemExit("Airflow did not start")
        yield api, parts


def _night(systems: Evening, api: AirflowApi, parts: list[psutil.Process]) -> NightClock:
    used = sum(map(cpu_seconds, parts))
    store, known = systems.again(), {each.id for each in api.runs(DAG_ID)}
    if api.is_paused(DAG_ID):
        api.unpause(DAG_ID)  # starts last night's run by itself: it is as good as any
    else:
        api.trigger(DAG_ID)
    deadline = time.monotonic() + PATIENCE
    while not (run := _new(api, known)) or not run.has_ended:
        if time.monotonic() > deadline:
            raise SystemExit(f"the night did not end: {run and api.task_states(DAG_ID, run.id)}")
        time.sleep(0.2)
    if run.state != "success":
        raise SystemExit(f"the night is red: {api.task_states(DAG_ID, run.id)}")
    night = divide(tasks_that_ran(api.task_instances(DAG_ID, run.id)), _steps(store))
    return replace(night, cpu=sum(map(cpu_seconds, parts)) - used)


def _new(api: AirflowApi, known: Container[str]) -> DagRun | None:
    return next((each for each in api.runs(DAG_ID) if each.id not in known), None)


def _steps(store: str) -> list[Span]:
    engine = connect(store)
    try:
        with engine.connect() as connection:
            return [Span(*row) for row in connection.execute(text(STEPS))]
    finally:
        engine.dispose()


def _in_the_middle(nights: Sequence[NightClock]) -> dict[str, Any]:
    """Return the night with the median clock, whole: its parts add up, as medians would not."""
    night = sorted(nights, key=lambda each: each.clock)[(len(nights) - 1) // 2]
    return {"night": night.shares(), "cpu": night.cpu, "tasks": night.tasks}


def _print(name: str, found: Mapping[str, Any]) -> None:
    night = found["night"]
    own = night["tasks"] + night["between"]
    print(f"\n{name}")
    print(
        f"  night {night['clock']:.1f} s = steps {night['steps']:.1f} + tasks around them "
        f"{night['tasks']:.1f} + between tasks {night['between']:.1f}; "
        f"Airflow's share {own:.1f} s, {100 * own / night['clock']:.0f} %"
    )
    print(f"  processor time of Airflow and its tasks meanwhile: {found['cpu']:.1f} s")
    print(f"  {'':24}{'waited':>9}{'ran':>9}{'in steps':>10}   seconds")
    for task, figures in found["tasks"].items():
        cells = f"{figures['waited']:9.2f}{figures['ran']:9.2f}{figures['in_steps']:10.2f}"
        print(f"  {task:24}{cells}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
