"""A whole Airflow for `benchmarks/push.py`, with some scheduler and settings."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import psutil

from benchmarks.push_stage import Stage
from local.demo.airflow_api import AirflowApi
from local.demo.web import NotReachableError
from local.supervisor import Supervisor

PUSH, NAIVE = "unsubscribe_push", "naive_push"
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'opt_out_sync push'"
PRELOADED = ("plugins.unsubscribe_sync_preload", "scheduler", "--skip-serve-logs")
PLAIN = ("airflow", "scheduler", "--skip-serve-logs")
IDLE_SLEEP = "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something uses a minute: processor seconds, transactions of both databases."""

    cpu: float
    store: float
    airflow: float

    def __str__(self) -> str:
        return (
            f"{self.cpu:.1f} s of CPU, {self.store:.0f} queries of the store, "
            f"{self.airflow:.0f} of Airflow's database"
        )


@dataclass
class Airflow:
    """A running Airflow."""

    stage: Stage
    api: AirflowApi
    supervisor: Supervisor
    processes: list[psutil.Process]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 180) -> None:
        """Wait for something, or give up."""

        def is_true() -> bool:
            try:
                return condition()
            except NotReachableError:
                return False

        if not self.supervisor.wait_until(is_true, seconds):
            raise SystemExit("it did not come true in time")

    def wait_for_push(self) -> None:
        """Wait until the push waits for somebody: its sensor listens."""
        state = ("wait_for_unsubscribes", "deferred")
        self.wait_for(lambda: self._is(PUSH, *state) and bool(self.stage.query(LISTENERS)))

    def wait_for_naive(self) -> None:
        """Wait until the stock sensor waits."""
        self.wait_for(lambda: self._is(NAIVE, "wait", "running"))

    def switch(self, dag_id: str, *, is_on: bool) -> None:
        """Switch a DAG on; or off, and end its runs as a person does it by hand."""
        path = f"dags/{dag_id}?update_mask=is_paused"
        self.api._call("PATCH", path, {"is_paused": not is_on})
        for run in [] if is_on else self.api.runs(dag_id):
            if not run.has_ended:
                path = f"dags/{dag_id}/dagRuns/{quote(run.id)}"
                self.api._call("PATCH", path, {"state": "failed"})

    def cost(self, seconds: float) -> Cost:
        """Watch for a while what all of Airflow and both databases do."""
        cpu, before = self._cpu(), self.stage.transactions()
        time.sleep(seconds)
        after, minutes = self.stage.transactions(), seconds / 60
        store, airflow = (now - then for now, then in zip(after, before, strict=True))
        own = 1  # the look before
        return Cost((self._cpu() - cpu) / minutes, (store - own) / minutes, airflow / minutes)

    def _is(self, dag_id: str, task_id: str, state: str) -> bool:
        newest = self.api.runs(dag_id)[:1]
        return any(self.api.task_states(dag_id, run.id).get(task_id) == state for run in newest)

    def _cpu(self) -> float:
        """Return processor seconds until now, also of children that have ended."""
        return sum(cpu_seconds(process) for process in self.processes)


def cpu_seconds(process: psutil.Process) -> float:
    """Return processor seconds of a process and its children, also of those that have ended."""
    times = process.cpu_times()
    used = times.user + times.system + times.children_user + times.children_system
    for child in process.children():
        try:
            used += cpu_seconds(child)
        except psutil.NoSuchProcess:
            continue
    return float(used)


def components(
    supervisor: Supervisor, environment: Mapping[str, str], scheduler: Sequence[str]
) -> list[psutil.Process]:
    """Migrate Airflow's database and start its four components; they are not ready yet."""
    migration = [sys.executable, "-m", "airflow", "db", "migrate"]
    supervisor.finish(supervisor.start("migrate", migration, environment), 300)
    parts = {
        "api-server": ("airflow", "api-server"),
        "scheduler": scheduler,
        "dag-processor": ("airflow", "dag-processor"),
        "triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
    }
    return [
        supervisor.start(part, [sys.executable, "-m", *command], environment).process
        for part, command in parts.items()
    ]


@contextmanager
def airflow(stage: Stage, name: str, scheduler: Sequence[str], **more: str) -> Iterator[Airflow]:
    """Start Airflow, and stop it with all that it started."""
    environment, home = {**stage.environment, **more}, stage.config.state
    begun = datetime.now(UTC)
    with Supervisor(home / f"{name}.json", home / f"logs-{name}", grace=5.0) as supervisor:
        processes = components(supervisor, environment, scheduler)
        running = Airflow(stage, AirflowApi(stage.config.airflow_url), supervisor, processes)
        alive = {"api_server", "scheduler", "dag_processor", "triggerer"}
        running.wait_for(lambda: alive <= {*running.api.healthy_components(begun)}, 300)
        running.wait_for(lambda: all(map(running.api.has_dag, (PUSH, NAIVE))))
        yield running
        for dag_id in (PUSH, NAIVE):
            running.switch(dag_id, is_on=False)
