"""Airflow's REST API, as far as the demo needs it: a command of Airflow takes seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from local.demo.web import HttpError, NotReachableError, call

COMPONENTS = ("scheduler", "dag_processor", "triggerer")
ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run of a DAG."""

    id: str
    state: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen in it by itself."""
        return self.state in ENDED


@dataclass(slots=True)
class AirflowApi:
    """The API at `url`, whose every user is an admin."""

    url: str
    _token: str | None = field(default=None, repr=False)

    def healthy_components(self, since: datetime) -> list[str]:
        """Name the components that gave a sign of life after `since`; none before the API is up."""
        try:
            health = call("GET", f"{self.url}/api/v2/monitor/health")
        except (NotReachableError, HttpError):
            return []
        alive = [name for name in COMPONENTS if _beats(name, health.get(name) or {}, since)]
        return ["api_server", *alive]

    def has_dag(self, dag_id: str) -> bool:
        """Whether the DAG has been read."""
        try:
            self._call("GET", f"dags/{dag_id}")
        except HttpError as error:
            if error.status == 404:
                return False
            raise
        return True

    def import_errors(self) -> list[str]:
        """Say what keeps DAG files from being read."""
        errors: Sequence[Mapping[str, str]] = self._call("GET", "importErrors")["import_errors"]
        return [f"{e['filename']}: {e['stack_trace'].strip().splitlines()[-1]}" for e in errors]

    def is_paused(self, dag_id: str) -> bool:
        """Whether the DAG waits to be switched on."""
        return bool(self._call("GET", f"dags/{dag_id}")["is_paused"])

    def unpause(self, dag_id: str) -> None:
        """Switch the DAG on. Its last complete interval starts at once if it had no run yet."""
        self._call("PATCH", f"dags/{dag_id}?update_mask=is_paused", {"is_paused": False})

    def runs(self, dag_id: str) -> list[DagRun]:
        """Return the latest runs, newest first."""
        reply = self._call("GET", f"dags/{dag_id}/dagRuns?order_by=-run_after&limit=50")
        return [DagRun(run["dag_run_id"], run["state"]) for run in reply["dag_runs"]]

    def trigger(self, dag_id: str) -> DagRun:
        """Start a run now, for no interval."""
        run = self._call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None})
        return DagRun(run["dag_run_id"], run["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run; None before it is scheduled."""
        return {task["task_id"]: task["state"] for task in self.task_instances(dag_id, run_id)}

    def failed_tasks(self, dag_id: str, run_id: str) -> list[tuple[str, int]]:
        """Name the tasks that failed in a run, first first, and the number of their last try."""
        tasks = sorted(self.task_instances(dag_id, run_id), key=lambda task: task["end_date"] or "")
        return [(t["task_id"], t["try_number"]) for t in tasks if t["state"] == "failed"]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return what Airflow knows of each task of a run: states, times, tries."""
        reply = self._call("GET", f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances")
        tasks: list[dict[str, Any]] = reply["task_instances"]
        return tasks

    def _call(self, method: str, path: str, body: object = None) -> Any:
        if self._token is None:
            self._token = str(call("GET", f"{self.url}/auth/token")["access_token"])
        headers = {"Authorization": f"Bearer {self._token}"}
        return call(method, f"{self.url}/api/v2/{path}", body, headers=headers)


def _beats(name: str, health: Mapping[str, str | None], since: datetime) -> bool:
    # "healthy" alone may mean the process of an earlier start.
    beat = health.get(f"latest_{name}_heartbeat")
    fresh = beat is not None and datetime.fromisoformat(beat) > since
    return fresh and health.get("status") == "healthy"
