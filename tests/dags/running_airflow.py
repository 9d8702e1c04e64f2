"""An Airflow with scheduler and API, for what `dag.test` cannot do: waiting for a person."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from local.demo.airflow_api import AirflowApi
from local.demo.web import NotReachableError
from local.supervisor import STOPPING_SIGNALS, Child, Supervisor

COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["plugins.unsubscribe_sync_preload", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
}
TERMINAL = {"success", "failed", "skipped", "upstream_failed"}


@dataclass
class RunningAirflow:
    api: AirflowApi
    supervisor: Supervisor
    environment: Mapping[str, str]
    started: dict[str, tuple[Child, list[str]]] = field(default_factory=dict)

    def start(self, name: str, module: list[str]) -> None:
        command = [sys.executable, "-m", *module]
        self.started[name] = (self.supervisor.start(name, command, self.environment), module)

    def kill(self, name: str) -> None:
        """End a component and everything it started, as a power cut would."""
        child, _ = self.started[name]
        for process in [*child.process.children(recursive=True), child.process]:
            process.kill()
        self.supervisor.finish(child, 10)

    def start_again(self, name: str) -> None:
        self.start(name, self.started[name][1])

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self.api._call(method, path, body)

    def wait_for(self, condition: Callable[[], Any], seconds: float = 120) -> Any:
        found = []

        def is_true() -> bool:
            try:
                found[:] = [condition()]
            except NotReachableError:  # a busy machine: ask again
                return False
            return bool(found[0])

        assert self.supervisor.wait_until(is_true, seconds), "Airflow did not get there in time"
        return found[0]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Runs of a DAG, oldest first."""
        reply = self.call("GET", f"dags/{dag_id}/dagRuns?order_by=run_after&limit=50")
        return list(reply["dag_runs"])

    def trigger(self, dag_id: str) -> str:
        return str(
            self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        )

    def pause(self, dag_id: str) -> None:
        self.call("PATCH", f"dags/{dag_id}?update_mask=is_paused", {"is_paused": True})

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances"
        return {each["task_id"]: each["state"] for each in self.call("GET", path)["task_instances"]}

    def ended(self, dag_id: str, run_id: str, seconds: float = 240) -> str:
        """Wait for the end of a run; returns its state."""

        def state() -> str | None:
            found = str(self.call("GET", f"dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])
            return found if found in TERMINAL else None

        return str(self.wait_for(state, seconds))

    def in_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        self.wait_for(lambda: self.states(dag_id, run_id).get(task_id) == state)

    def xcoms(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries"
        keys = [each["key"] for each in self.call("GET", path)["xcom_entries"]]
        return {key: self.call("GET", f"{path}/{quote(key)}")["value"] for key in keys}

    def detail(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What a person is asked."""
        return dict(self.call("GET", self._question(dag_id, run_id, task_id)))

    def asks(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Wait until a task waits for a person, and as long as a person needs to read.

        Airflow 3.3.2 takes a task for failed that goes on before the scheduler has noticed the end
        of the process that asked; people do not answer in less than a second.
        """
        self.in_state(dag_id, run_id, task_id, "awaiting_input")
        time.sleep(6)

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        body = {"chosen_options": [option], "params_input": {}}
        self.call("PATCH", self._question(dag_id, run_id, task_id), body)

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task, downstream included."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
        }
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", body)

    @staticmethod
    def _question(dag_id: str, run_id: str, task_id: str) -> str:
        return f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/-1/hitlDetails"


@contextmanager
def running_airflow(
    home: Path,
    url: str,
    environment: Mapping[str, str],
    dag_ids: set[str],
    more: Mapping[str, list[str]] = MappingProxyType({}),
) -> Iterator[RunningAirflow]:
    """Start Airflow, wait until it knows the DAGs, and stop it with everything it started."""
    handlers = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}
    begun = datetime.now(UTC)
    try:
        with Supervisor(home / "processes.json", home / "logs", grace=5.0) as supervisor:
            airflow = RunningAirflow(AirflowApi(url), supervisor, environment)
            migration = [sys.executable, "-m", "airflow", "db", "migrate"]
            child = supervisor.start("migrate", migration, environment)
            assert supervisor.finish(child, 180) == 0, child.log.read_text()[-4000:]
            for name, module in {**COMPONENTS, **more}.items():
                airflow.start(name, module)
            alive = {"api_server", "scheduler", "dag_processor"}
            airflow.wait_for(lambda: alive <= {*airflow.api.healthy_components(begun)}, 180)
            airflow.wait_for(lambda: all(airflow.api.has_dag(each) for each in dag_ids))
            yield airflow
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
