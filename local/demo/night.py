"""Runs one night in Airflow and finds out what the sync's own tables say about it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.demo import DemoError
from local.demo.airflow_api import AirflowApi, DagRun
from local.demo.config import Config
from local.demo.databases import query

DAG_ID = "unsubscribe_nightly_sync"
QUESTION_DAG_ID = "unsubscribe_held_clears"
DAG_IDS = (DAG_ID, QUESTION_DAG_ID)
_APPEARS_SECONDS = 20
_NIGHT_SECONDS = 600

Wait = Callable[[Callable[[], bool], float], bool]
"""Waits for a condition at most some seconds; tells whether it came true."""


def run_night(api: AirflowApi, wait: Wait) -> list[DagRun]:
    """Let one night run, or the one that an earlier demo could not finish; return its runs.

    Switching the DAG on for the first time starts its last complete night by itself. Every night
    that closes starts the DAG of the question about held clears: it ends at once where nothing is
    held, and is left alone while it waits for an answer.

    Raises:
        DemoError: it did not end in time.
    """
    known = {run.id for run in api.runs(DAG_ID) if run.has_ended}
    asked = {run.id for run in api.runs(QUESTION_DAG_ID)}
    _start(api, wait, known)
    if not wait(lambda: all(run.has_ended for run in _new(api, known)), _NIGHT_SECONDS):
        raise DemoError(f"The night did not end within {_NIGHT_SECONDS} s: see {api.url}")
    runs = _new(api, known)
    if any(api.task_states(DAG_ID, run.id).get("close") == "success" for run in runs):
        wait(lambda: bool(_unsettled(api, asked)), _APPEARS_SECONDS)
    if not wait(lambda: _is_settled(api), _NIGHT_SECONDS):
        raise DemoError(f"{QUESTION_DAG_ID} did not end within {_NIGHT_SECONDS} s: see {api.url}")
    return runs


def _start(api: AirflowApi, wait: Wait, known: set[str]) -> None:
    if api.is_paused(QUESTION_DAG_ID):
        api.unpause(QUESTION_DAG_ID)
    has_unfinished = bool(_new(api, known))
    if api.is_paused(DAG_ID):
        api.unpause(DAG_ID)
        wait(lambda: bool(_new(api, known)), _APPEARS_SECONDS)
    elif not has_unfinished:
        api.trigger(DAG_ID)
    if not _new(api, known):
        api.trigger(DAG_ID)


def _unsettled(api: AirflowApi, asked: set[str]) -> list[DagRun]:
    """Return the questions that are new or open: while one waits, the next does not begin."""
    runs = api.runs(QUESTION_DAG_ID)
    return [run for run in runs if run.id not in asked or not run.has_ended]


def _is_settled(api: AirflowApi) -> bool:
    """Whether no question is open, or one waits for a person; the next ones queue behind it."""
    is_open = [run for run in api.runs(QUESTION_DAG_ID) if not run.has_ended]
    return not is_open or any(
        api.task_states(QUESTION_DAG_ID, run.id).get("ask") in _WAITING for run in is_open
    )


_WAITING = ("awaiting_input", "deferred")


def describe_failures(api: AirflowApi, runs: Sequence[DagRun], config: Config) -> list[str]:
    """Say which tasks of these nights failed, or of the newest question, why, and their logs."""
    failures = []
    for dag_id, run in [(DAG_ID, run) for run in runs] + [
        (QUESTION_DAG_ID, run) for run in api.runs(QUESTION_DAG_ID)[:1]
    ]:
        if run.state == "failed":
            for task_id, attempt in api.failed_tasks(dag_id, run.id):
                folder = f"dag_id={dag_id}/run_id={run.id}/task_id={task_id}"
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
    """So many decisions of one code with the same writes; held ones were not written."""

    code: str
    target_store: bool | None
    target_salesforce: bool | None
    people: int
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One decision and its sentence."""

    code: str
    person_id: int
    object: str
    record_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one person's consent to be mailed again."""

    verdict: str
    code: str
    person_id: int
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
    judged: list[Judged] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ToTry:
    """People and records on which a visitor can try things.

    Attributes:
        unsubscribes: a person who is not opted out.
        ticked: Id of another one's Contact, whose box is not ticked.
        resubscribes: a person who is opted out on both sides, for longer than the night.
        held: another one.
        explained: a person to whom something happened.
    """

    unsubscribes: int
    ticked: str
    resubscribes: int
    held: int
    explained: int


_TOLD_FIRST = {
    "UNSUBSCRIBED_IN_STORE": 1,
    "OPTED_OUT_IN_SALESFORCE": 2,
    "SHARED_RECORD": 3,
    "CARRIED_OVER_CONVERSION": 4,
    "CLEARED_IN_SALESFORCE_ONLY": 5,
}


def night_to_tell(store_url: str, airflow_run_ids: Sequence[str]) -> Night | None:
    """Return the night that decided most among those of these Airflow runs.

    None if the sync knows none of them.
    """
    ids = query(
        store_url,
        "SELECT r.id FROM opt_out_sync.sync_run r"
        " WHERE r.airflow_run_id = ANY (%s) AND r.state <> 'superseded'"
        " ORDER BY (SELECT count(*) FROM opt_out_sync.merge_audit m WHERE m.sync_run_id = r.id)"
        " DESC, r.id DESC LIMIT 1",
        (list(airflow_run_ids),),
    )
    return read_night(store_url, ids[0][0]) if ids else None


def last_that_decided(store_url: str) -> Night | None:
    """Return the newest night that decided something."""
    [(run_id,)] = query(
        store_url,
        "SELECT max(m.sync_run_id) FROM opt_out_sync.merge_audit AS m"
        " JOIN opt_out_sync.sync_run AS r ON r.id = m.sync_run_id WHERE r.kind = 'night'",
    )
    return None if run_id is None else read_night(store_url, run_id)


def read_night(store_url: str, run_id: int) -> Night:
    """Read one run with its decisions by code and direction, and its examples."""
    [(state, reason, seconds)] = query(
        store_url,
        "SELECT state, reason, extract(epoch FROM coalesce(closed_at, now()) - started_at)"
        " FROM opt_out_sync.sync_run WHERE id = %s",
        (run_id,),
    )
    decided = query(
        store_url,
        "SELECT code, target_store, target_salesforce, count(*), is_held"
        " FROM opt_out_sync.merge_audit AS a CROSS JOIN LATERAL ("
        "   SELECT EXISTS (SELECT FROM opt_out_sync.write_attempt AS w"
        "     WHERE w.sync_run_id = a.sync_run_id AND w.person_id = a.person_id"
        "     AND w.record_id IS NOT DISTINCT FROM a.record_id AND w.outcome = 'held') AS is_held"
        " ) AS written WHERE sync_run_id = %s GROUP BY 1, 2, 3, 5"
        " ORDER BY target_store DESC NULLS LAST, target_salesforce DESC NULLS LAST, 4 DESC, 1",
        (run_id,),
    )
    examples = query(
        store_url,
        "SELECT DISTINCT ON (code) code, person_id, object, record_id, reason"
        " FROM opt_out_sync.merge_audit WHERE sync_run_id = %s"
        " AND (target_store IS NOT NULL OR target_salesforce IS NOT NULL)"
        " ORDER BY code, person_id",
        (run_id,),
    )
    judged = query(
        store_url,
        "SELECT verdict, code, person_id, reason FROM opt_out_sync.resubscribe_judgement"
        " WHERE sync_run_id = %s ORDER BY verdict, code, person_id",
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
        )[:4],
        judged=[Judged(*row) for row in judged],
    )


def to_try(store_url: str) -> ToTry:
    """Choose people and a record to try things on: nothing else happens to them."""
    unsubscribes, ticked = untouched(store_url, "NOT s.is_opted_out")
    # Not one who complained (that ends only by their own opt-in), and none whom the sync opted out.
    resubscribes, held = untouched(store_url, "s.origin IN ('Clicked Link', 'One-Click', 'Manual')")
    told = query(
        store_url,
        "SELECT person_id FROM opt_out_sync.merge_audit"
        " ORDER BY code <> 'SHARED_RECORD', sync_run_id DESC, person_id LIMIT 1",
    )
    explained = told[0][0] if told else resubscribes[0]
    return ToTry(unsubscribes[0], ticked[1], resubscribes[0], held[0], explained)


def untouched(store_url: str, condition: str) -> tuple[tuple[int, str], tuple[int, str]]:
    """Return two people to whom nothing has happened yet, each with the Id of their Contact.

    Raises:
        DemoError: there are no two left.
    """
    rows = query(store_url, _UNTOUCHED.format(condition))
    if len(rows) < 2:
        raise DemoError("Something has happened to everybody: start over with make demo-reset.")
    return rows[0], rows[1]


_UNTOUCHED = """
SELECT s.person_id, l.record_id
FROM engagement.person_opt_out AS s
JOIN opt_out_sync.link AS l USING (person_id)
WHERE {} AND l.base = s.is_opted_out AND l.object = 'Contact' AND l.state = 'active'
  AND l.not_visible_since IS NULL
  AND NOT EXISTS (SELECT FROM opt_out_sync.merge_audit AS a WHERE a.person_id = s.person_id)
  AND NOT EXISTS (SELECT FROM opt_out_sync.v_resubscribe AS r WHERE r.person_id = s.person_id)
ORDER BY s.person_id
LIMIT 2
"""


def verdicts_of_all_nights(store_url: str) -> dict[tuple[str, str], int]:
    """Count the judgements by verdict and code."""
    rows = query(
        store_url,
        "SELECT j.verdict, j.code, count(*) FROM opt_out_sync.resubscribe_judgement AS j"
        " JOIN opt_out_sync.sync_run AS r ON r.id = j.sync_run_id WHERE r.kind = 'night'"
        " GROUP BY 1, 2",
    )
    return {(verdict, code): count for verdict, code, count in rows}


def codes_of_all_nights(store_url: str) -> tuple[int, dict[str, int]]:
    """Return how many nights decided something, and how many decisions there are by code."""
    rows = query(
        store_url,
        "WITH decided AS (SELECT m.code, m.sync_run_id FROM opt_out_sync.merge_audit AS m"
        " JOIN opt_out_sync.sync_run AS r ON r.id = m.sync_run_id WHERE r.kind = 'night')"
        " SELECT code, count(*), (SELECT count(DISTINCT sync_run_id) FROM decided)"
        " FROM decided GROUP BY code",
    )
    return max((row[2] for row in rows), default=0), {row[0]: row[1] for row in rows}


def _new(api: AirflowApi, known: set[str]) -> list[DagRun]:
    return [run for run in api.runs(DAG_ID) if run.id not in known]
