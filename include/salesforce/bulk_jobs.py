"""The life of a Bulk API 2.0 job, the same for queries and for ingests."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from include.domain.errors import OptOutSyncError
from include.domain.ids import to_18
from include.salesforce.errors import (
    JobFailedError,
    JobInterruptedError,
    SalesforceRequestError,
    SalesforceUnavailableError,
)
from include.salesforce.failures import code_of_job
from include.salesforce.responses import error_of_code
from include.salesforce.session import SalesforceSession
from include.salesforce.transport import named_errors

log = logging.getLogger(__name__)

COMPLETE: Final = "JobComplete"
ABORTED: Final = "Aborted"
ACTIVE: Final = frozenset({"Open", "UploadComplete", "InProgress"})
_ENDED: Final = frozenset({COMPLETE, "Failed", ABORTED})
_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Polling:
    """How a job is waited for, in seconds: the interval grows, the deadline is ours.

    `grace` is how long an aborted job may take to stop.
    """

    first: float = 0.2
    factor: float = 1.5
    longest: float = 5.0
    deadline: float = 3600.0
    grace: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Job:
    """A job as Salesforce last described it; `error_code` replaces Salesforce's free text."""

    path: str
    job_id: str
    state: str
    processed: int
    failed: int
    error_code: str | None

    @property
    def has_ended(self) -> bool:
        """Salesforce will not touch the job any more."""
        return self.state in _ENDED


def create_job(session: SalesforceSession, kind: str, document: Mapping[str, str]) -> Job:
    """Create a job; `kind` is "query" or "ingest".

    A query is repeated when the answer is lost, because it only reads. An ingest job that nobody
    knows by its Id has to be aborted first.
    """
    answer = session.json("POST", f"jobs/{kind}", repeatable=kind == "query", json=document)
    return _parsed(kind, answer)


def find_job(session: SalesforceSession, kind: str, job_id: str) -> Job | None:
    """Return a job by its Id, None if Salesforce has forgotten it (after seven days)."""
    try:
        return _parsed(kind, session.json("GET", f"jobs/{kind}/{job_id}", repeatable=True))
    except SalesforceRequestError as error:
        if error.status == 404:
            return None
        raise


def open_jobs(
    session: SalesforceSession, obj: str, operation: str, created_by: str
) -> Iterator[Job]:
    """Yield the ingest jobs that a user created and that wait for their data."""
    path: str | None = "jobs/ingest"
    while path is not None:
        answer = session.json("GET", path, repeatable=True)
        for found in answer["records"]:
            is_meant = (found["state"], found["object"], found["operation"]) == (
                "Open",
                obj,
                operation,
            )
            if is_meant and to_18(found["createdById"]) == created_by:
                yield _parsed("ingest", found)
        path = answer.get("nextRecordsUrl")


def read_job(session: SalesforceSession, job: Job) -> Job:
    """Ask Salesforce for the job's present state."""
    return _parsed(job.path.split("/")[1], session.json("GET", job.path, repeatable=True))


def await_end(
    session: SalesforceSession,
    job: Job,
    polling: Polling,
    *,
    seconds: float | None = None,
    waiting: Callable[[], object] = lambda: None,
) -> Job:
    """Poll until the job has ended or the deadline is over; look at the state to know which.

    Losing the session on the way does not lose the job: the poll goes on after the re-login.

    Args:
        session: the session.
        job: the job.
        polling: intervals and deadline.
        seconds: another deadline than that of `polling`.
        waiting: called after each look; what it raises ends the wait.
    """
    ends_at = polling.clock() + (polling.deadline if seconds is None else seconds)
    pause = polling.first
    current = read_job(session, job)
    while not current.has_ended and polling.clock() < ends_at:
        polling.sleep(min(pause, max(0.0, ends_at - polling.clock())))
        pause = min(pause * polling.factor, polling.longest)
        current = read_job(session, job)
        waiting()
    return current


def set_state(
    session: SalesforceSession, job: Job, state: str, *, only_from: Set[str] = ACTIVE
) -> None:
    """Move a job to `state`; when the reply is lost, look before asking again.

    Raises:
        SalesforceRequestError: the job is in a state that forbids it.
    """
    try:
        _patch_state(session, job, state)
    except SalesforceUnavailableError:
        session.repeat(lambda: _patch_state_from(session, job, state, only_from))


def abort(session: SalesforceSession, job: Job, polling: Polling) -> Job:
    """Stop a job and return how it ended, which may be complete if it was about to."""
    log.warning("Aborting Salesforce job %s in state %s", job.job_id, job.state)
    try:
        set_state(session, job, ABORTED)
    except SalesforceRequestError as error:
        log.info("Job %s refused to be aborted (%s): it has ended", job.job_id, error.code)
    return await_end(session, job, polling, seconds=polling.grace)


def error_of_job(job: Job) -> OptOutSyncError:
    """Name why a job did not complete."""
    code = job.error_code or job.state
    named = error_of_code(code)
    if isinstance(named, SalesforceUnavailableError) or job.state == ABORTED:
        return JobInterruptedError(f"Salesforce ended job {job.job_id} early ({code})")
    return named or JobFailedError(f"Salesforce failed job {job.job_id} ({code})", code=code)


def download(
    session: SalesforceSession, path: str, target: Path, params: Mapping[str, str | int]
) -> Mapping[str, str]:
    """Stream a result into a file, as bytes: their charset is UTF-8 whatever the header says.

    Returns:
        The headers of the answer.

    Raises:
        SalesforceUnavailableError: the body broke off.
    """
    response = session.request(
        "GET", path, repeatable=True, params=params, headers={"Accept": "text/csv"}, stream=True
    )
    with response, named_errors(), target.open("wb") as file:
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
    return response.headers


def _parsed(kind: str, answer: Mapping[str, Any]) -> Job:
    job_id = str(answer["id"])
    message = answer.get("errorMessage")
    return Job(
        path=f"jobs/{kind}/{job_id}",
        job_id=job_id,
        state=str(answer["state"]),
        processed=int(answer.get("numberRecordsProcessed") or 0),
        failed=int(answer.get("numberRecordsFailed") or 0),
        error_code=code_of_job(message) if message else None,
    )


def _patch_state(session: SalesforceSession, job: Job, state: str) -> None:
    session.request("PATCH", job.path, repeatable=False, json={"state": state})


def _patch_state_from(
    session: SalesforceSession, job: Job, state: str, only_from: Set[str]
) -> None:
    if read_job(session, job).state in only_from:
        _patch_state(session, job, state)
