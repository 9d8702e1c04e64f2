"""Switches the push on, lets people unsubscribe, and tells when Salesforce knew."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from local.demo import DemoError
from local.demo.airflow_api import AirflowApi
from local.demo.databases import connect, query
from local.demo.emulator import Emulator
from local.demo.night import untouched
from local.sample_data import FIELD

DAG_ID = "unsubscribe_push"
_SENSOR = "wait_for_unsubscribes"
_DRAIN_SECONDS = 120
_ARRIVES_SECONDS = 30

Wait = Callable[[Callable[[], bool], float], bool]
"""Waits for a condition at most some seconds; tells whether it came true."""


@dataclass(frozen=True, slots=True)
class Click:
    """A person who unsubscribed, and the moment at which that was committed."""

    person_id: int
    act_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """When Salesforce answered the write of an unsubscribe.

    Attributes:
        click: of whom.
        record_id: that was written; None: nothing had to be.
        seconds: from the commit to the answer.
    """

    click: Click
    record_id: str | None
    seconds: float


def click(store_url: str, person_id: int) -> Click:
    """Let a person click the link in a mail.

    Raises:
        DemoError: there is no such person.
    """
    with connect(store_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT engagement.record_act(%s, 'unsubscribe', 'team', 'Clicked Link', NULL, NULL,"
            " NULL, NULL, NULL, now(), %s)",
            (person_id, f"demo:{uuid4()}"),
        )
        row = cursor.fetchone()
    if row is None or row[0] is None:
        raise DemoError(f"There is no person {person_id}: they are numbered from 1.")
    return Click(person_id, row[0], datetime.now(UTC))


def arrival(store_url: str, clicked: Click, wait: Wait) -> Arrival | None:
    """Wait until a push has dealt with a person; None: none did in time."""
    if not wait(lambda: not _waits(store_url, clicked.person_id), _ARRIVES_SECONDS):
        return None
    record_id, answered_at = _written(store_url, clicked)
    at = answered_at or clicked.at
    return Arrival(clicked, record_id, (at - clicked.at).total_seconds())


def show(api: AirflowApi, store_url: str, emulator: Emulator, wait: Wait) -> Iterator[str]:
    """Let one person unsubscribe while nothing runs, and another one right after; tell both.

    Raises:
        DemoError: it did not arrive, or Salesforce says something else.
    """
    switch_on(api, store_url, wait)
    first, second = untouched(store_url, "NOT s.is_opted_out")
    yield _told(first[0], store_url, emulator, wait, "nothing ran, so a task had to start")
    yield _told(second[0], store_url, emulator, wait, "that task was still there")


def switch_on(api: AirflowApi, store_url: str, wait: Wait) -> None:
    """Switch the DAG on, and wait until it has looked at everybody and waits for the next one.

    Raises:
        DemoError: it did not in time.
    """
    if api.is_paused(DAG_ID):
        api.unpause(DAG_ID)
    if not wait(lambda: not _waits(store_url) and _is_waiting(api), _DRAIN_SECONDS):
        raise DemoError(f"{DAG_ID} did not end in {_DRAIN_SECONDS} s: see {api.url}/dags/{DAG_ID}")


def _is_waiting(api: AirflowApi) -> bool:
    newest = api.runs(DAG_ID)[:1]
    return any(api.task_states(DAG_ID, run.id).get(_SENSOR) == "deferred" for run in newest)


def _told(person_id: int, store_url: str, emulator: Emulator, wait: Wait, while_: str) -> str:
    arrived = arrival(store_url, click(store_url, person_id), wait)
    if arrived is None or arrived.record_id is None:
        raise DemoError(f"The unsubscribe of person {person_id} did not reach Salesforce.")
    records = {each["Id"]: each for each in emulator.records("Contact")}
    if not records[arrived.record_id][FIELD]:
        raise DemoError(f"Person {person_id} is told to be pushed, and Salesforce knows nothing.")
    name = records[arrived.record_id]["Name"]
    return (
        f"Person {person_id} ({name}) did while {while_}: Salesforce knew "
        f"{arrived.seconds:.2f} s later."
    )


def _waits(store_url: str, person_id: int | None = None) -> bool:
    """Whether somebody, or a person, is to be looked at now."""
    rows = query(
        store_url,
        "SELECT FROM opt_out_sync.v_push_outbox"
        " WHERE person_id = coalesce(%s, person_id)"
        " AND (state = 'claimed' OR next_attempt_at <= now() OR person_id = %s) LIMIT 1",
        (person_id, person_id),
    )
    return bool(rows)


def _written(store_url: str, clicked: Click) -> tuple[str | None, datetime | None]:
    """Return which record was written for a person since, and when Salesforce answered."""
    rows: list[tuple[str, datetime]] = query(
        store_url,
        "SELECT record_id, attempted_at FROM opt_out_sync.write_attempt"
        " WHERE person_id = %s AND side = 'salesforce' AND outcome = 'confirmed'"
        " AND attempted_at >= %s ORDER BY id LIMIT 1",
        (clicked.person_id, clicked.at),
    )
    return rows[0] if rows else (None, None)
