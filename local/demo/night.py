"""Runs one night in Airflow and finds out what the sync's own tables say about it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.demo import DemoError
from local.demo.airflow_api import AirflowApi, DagRun
from local.demo.config import Config
from local.demo.databases import connect

DAG_ID = "unsubscribe_nightly_sync"
_APPEARS_SECONDS = 20
_NIGHT_SECONDS = 600

Wait = Callable[[Callable[[], bool], float], bool]
"""Waits for a condition at most some seconds; tells whether it came true."""


def run_night(api: AirflowApi, wait: Wait) -> list[DagRun]:
    """Let one night run, or the one that an earlier demo could not finish; return its runs.

    Switching the DAG on for the first time starts its last complete night by itself.

    Raises:
        DemoError: it did not end in time.
    """
    known = {run.id for run in api.runs(DAG_ID) if run.has_ended}
    has_unfinished = len(known) < len(api.runs(DAG_ID))
    if api.is_paused(DAG_ID):
        api.unpause(DAG_ID)
        wait(lambda: bool(_new(api, known)), _APPEARS_SECONDS)
    elif not has_unfinished:
        api.trigger(DAG_ID)
    if not _new(api, known):
        api.trigger(DAG_ID)
    if not wait(lambda: all(run.has_ended for run in _new(api, known)), _NIGHT_SECONDS):
        raise DemoError(f"The night did not end within {_NIGHT_SECONDS} s: see {api.url}")
    return _new(api, known)


def describe_failures(api: AirflowApi, runs: Sequence[DagRun], config: Config) -> list[str]:
    """Say which tasks failed, why, and where their logs are."""
    failures = []
    for run in runs:
        if run.state == "failed":
            for task_id, attempt in api.failed_tasks(DAG_ID, run.id):
                folder = f"dag_id={DAG_ID}/run_id={run.id}/task_id={task_id}"
                log = config.airflow_home / "logs" / folder / f"attempt={attempt}.log"
                failures.append(f"{task_id} failed: {_why(log)}\n   {log}")
    return failures


def _why(log: Path) -> str:
    """Find the message of the exception that ended a task, in Airflow's own JSON lines."""
    if not log.exists():
        return "it left no log."
    for line in reversed(log.read_text().splitlines()):
        details = json.loads(line).get("error_detail") if line.startswith("{") else None
        if details:
            return str(details[0]["exc_value"])
    return "its log says why."


@dataclass(frozen=True, slots=True)
class Decided:
    """So many decisions of one code with the same writes."""

    code: str
    target_store: bool | None
    target_salesforce: bool | None
    people: int


@dataclass(frozen=True, slots=True)
class Example:
    """One decision and its sentence."""

    code: str
    person_id: int
    object: str
    record_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Night:
    """What the audit says of one run of the sync."""

    id: int
    state: str
    reason: str | None
    seconds: float
    decided: list[Decided]
    examples: list[Example]

    @property
    def decisions(self) -> int:
        """How many links were decided."""
        return sum(row.people for row in self.decided)


_TOLD_FIRST = {
    "UNSUBSCRIBED_IN_STORE": 1,
    "OPTED_OUT_IN_SALESFORCE": 2,
    "CLEARED_IN_SALESFORCE_ONLY": 3,
}


def night_to_tell(store_url: str, airflow_run_ids: Sequence[str]) -> Night | None:
    """Return the night that decided most among those of these Airflow runs.

    None if the sync knows none of them.
    """
    ids = _query(
        store_url,
        "SELECT r.id FROM opt_out_sync.sync_run r"
        " WHERE r.airflow_run_id = ANY (%s) AND r.state <> 'superseded'"
        " ORDER BY (SELECT count(*) FROM opt_out_sync.merge_audit m WHERE m.sync_run_id = r.id)"
        " DESC, r.id DESC LIMIT 1",
        (list(airflow_run_ids),),
    )
    return read_night(store_url, ids[0][0]) if ids else None


def last_that_decided(store_url: str) -> Night | None:
    """Return the newest run that decided something."""
    [(run_id,)] = _query(store_url, "SELECT max(sync_run_id) FROM opt_out_sync.merge_audit")
    return None if run_id is None else read_night(store_url, run_id)


def read_night(store_url: str, run_id: int) -> Night:
    """Read one run with its decisions by code and direction, and its examples."""
    [(state, reason, seconds)] = _query(
        store_url,
        "SELECT state, reason, extract(epoch FROM coalesce(closed_at, now()) - started_at)"
        " FROM opt_out_sync.sync_run WHERE id = %s",
        (run_id,),
    )
    decided = _query(
        store_url,
        "SELECT code, target_store, target_salesforce, count(*)"
        " FROM opt_out_sync.merge_audit WHERE sync_run_id = %s"
        " GROUP BY 1, 2, 3 ORDER BY target_store, target_salesforce, 4 DESC, 1",
        (run_id,),
    )
    examples = _query(
        store_url,
        "SELECT DISTINCT ON (code) code, person_id, object, record_id, reason"
        " FROM opt_out_sync.merge_audit WHERE sync_run_id = %s"
        " AND (target_store IS NOT NULL OR target_salesforce IS NOT NULL)"
        " ORDER BY code, person_id",
        (run_id,),
    )
    return Night(
        id=run_id,
        state=state,
        reason=reason,
        seconds=float(seconds),
        decided=[Decided(*row) for row in decided],
        examples=sorted(
            (Example(*row) for row in examples), key=lambda each: _TOLD_FIRST.get(each.code, 9)
        )[:3],
    )


def two_to_try(store_url: str) -> tuple[int, str]:
    """Return a person and the Id of another one's Contact, both not opted out, to try things on."""
    rows = _query(
        store_url,
        "SELECT person_id, salesforce_id FROM engagement.person_opt_out JOIN opt_out_sync.link"
        " USING (person_id) WHERE NOT is_opted_out AND base = false AND state = 'active'"
        " AND not_visible_since IS NULL AND length(salesforce_id) = 18"
        " AND object = 'Contact' ORDER BY person_id LIMIT 2",
    )
    return rows[0][0], rows[1][1]


def codes_of_all_nights(store_url: str) -> tuple[int, dict[str, int]]:
    """Return how many runs decided something, and how many decisions there are by code."""
    rows = _query(
        store_url,
        "SELECT code, count(*), max(runs) FROM opt_out_sync.merge_audit,"
        " (SELECT count(DISTINCT sync_run_id) AS runs FROM opt_out_sync.merge_audit) AS all_runs"
        " GROUP BY code",
    )
    return max((row[2] for row in rows), default=0), {row[0]: row[1] for row in rows}


def _new(api: AirflowApi, known: set[str]) -> list[DagRun]:
    return [run for run in api.runs(DAG_ID) if run.id not in known]


def _query(url: str, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
