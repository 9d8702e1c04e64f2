"""Bulk 2.0 jobs: their rows, their files, and how each answer shows them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from local.salesforce_emulator.clock import from_stored, now, to_rest, to_stored
from local.salesforce_emulator.errors import SalesforceError, not_found
from local.salesforce_emulator.ids import make_id, to_18

if TYPE_CHECKING:
    from pathlib import Path

    from local.salesforce_emulator.database import Database

Kind = Literal["ingest", "query", "bulk1"]
TERMINAL = ("JobComplete", "Failed", "Aborted")
DELIMITERS = {
    "COMMA": ",", "SEMICOLON": ";", "PIPE": "|", "TAB": "\t", "CARET": "^", "BACKQUOTE": "`",
}  # fmt: skip
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
_KEPT = timedelta(days=7)
_COLUMNS = (
    "id, kind, operation, object, state, created_at, modified_at, version, query,"
    " column_delimiter, line_ending, uploaded, processed, failed, error, milliseconds, created_by,"
    " external_id, options"
)


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as the database knows it; the fields are in the order of the columns."""

    id: str
    kind: Kind
    operation: str
    object: str
    state: str
    created_at: str
    modified_at: str
    version: str
    query: str | None
    column_delimiter: str
    line_ending: str
    uploaded: int
    processed: int
    failed: int
    error: str | None
    milliseconds: int
    created_by: str
    external_id: str | None
    options: str

    @property
    def has_expired(self) -> bool:
        """Whether it ended more than seven days ago and is gone [documented]."""
        ended = self.state in TERMINAL or self.state == "Closed"
        return ended and from_stored(self.modified_at) < now() - _KEPT

    @property
    def delimiter(self) -> str:
        """The character between two values."""
        return DELIMITERS[self.column_delimiter]

    @property
    def is_parallel(self) -> bool:
        """Whether its batches run side by side, as they do unless the job says Serial."""
        return bool(json.loads(self.options).get("concurrencyMode") != "Serial")

    @property
    def newline(self) -> str:
        """The character or two at a line's end."""
        return LINE_ENDINGS[self.line_ending]


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a client asks for."""

    kind: Kind
    operation: str
    object: str
    version: str
    query: str | None
    column_delimiter: str
    line_ending: str
    created_by: str
    external_id: str | None = None
    options: str = "{}"


class JobStore:
    """Jobs in the database, their uploads and results in a folder beside it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._folder = database.path.with_name(database.path.name + "-jobs")
        self._folder.mkdir(exist_ok=True)

    def create(self, new: NewJob) -> Job:
        """Keep a new job: an ingest job is open for data, a query job ready to run [captured]."""
        state = "UploadComplete" if new.kind == "query" else "Open"
        stamp = to_stored(now())
        with self._database.write() as connection:
            (number,) = self._database.next_numbers(connection, "750", 1)
            job_id = make_id("750", number)
            self._delete_files(job_id)  # left by a job of the same Id before the org was restored
            values = {
                "id": job_id, "state": state, "created_at": stamp, "modified_at": stamp,
                **asdict(new),
            }  # fmt: skip
            connection.execute(
                f"insert into job ({', '.join(values)}) values ({', '.join('?' * len(values))})",  # noqa: S608
                tuple(values.values()),
            )
        return self.get(new.kind, job_id)

    def get(self, kind: Kind, job_id: str) -> Job:
        """Return a job.

        Raises:
            SalesforceError: 404 NOT_FOUND [assumed body].
        """
        row = (
            self._database.read()
            .execute(
                f"select {_COLUMNS} from job where id = ? and kind = ?",  # noqa: S608
                (to_18(job_id, "750"), kind),
            )
            .fetchone()
        )
        if row is None or Job(*row).has_expired:
            raise not_found()
        return Job(*row)

    def list(self, kind: Kind) -> list[Job]:
        """Return the jobs of a kind, newest first."""
        rows = self._database.read().execute(
            f"select {_COLUMNS} from job where kind = ? order by id desc",  # noqa: S608
            (kind,),
        )
        return [job for job in (Job(*row) for row in rows) if not job.has_expired]

    def update(self, job: Job, *, only_from: tuple[str, ...] = (), **values: object) -> Job:
        """Change columns of a job and return it; a job not in ``only_from`` stays as it is."""
        settings = ", ".join(f"{name} = ?" for name in (*values, "modified_at"))
        condition = f" and state in ({', '.join('?' * len(only_from))})" if only_from else ""
        with self._database.write() as connection:
            connection.execute(
                f"update job set {settings} where id = ?{condition}",  # noqa: S608
                (*values.values(), to_stored(now()), job.id, *only_from),
            )
        return self.get(job.kind, job.id)

    def delete(self, job: Job) -> None:
        """Forget a job and its files."""
        with self._database.write() as connection:
            connection.execute("delete from job where id = ?", (job.id,))
        self._delete_files(job.id)

    def _delete_files(self, job_id: str) -> None:
        for path in self._folder.glob(f"{job_id}.*"):
            path.unlink(missing_ok=True)

    def file(self, job: Job, name: str) -> Path:
        """Return the path of one of the job's files."""
        return self._folder / f"{job.id}.{name}"


def invalid_state(job: Job, wish: str) -> SalesforceError:
    """Return 400 for a step which the job's state does not allow [assumed body]."""
    return SalesforceError(
        400, "INVALIDJOBSTATE", f"{wish} is not possible: the job's state is {job.state}"
    )


def created(job: Job) -> dict[str, Any]:
    """Return the answer to creating a job [captured]."""
    body = _head(job)
    if job.kind == "ingest":
        body["contentUrl"] = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
    return {**body, **_format(job)}


def patched(job: Job) -> dict[str, Any]:
    """Return the answer to a change of state: shorter than the others [captured]."""
    return _head(job)


def shown(job: Job) -> dict[str, Any]:
    """Return the answer to a GET, whose keys depend on the state [captured]."""
    body = {**_head(job), "jobType": "V2Ingest" if job.kind == "ingest" else "V2Query"}
    if job.state == "Open":
        body["contentUrl"] = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
    body.update(_format(job))
    body.update(_counts(job))
    body.update(retries=0, totalProcessingTime=job.milliseconds)
    if job.kind == "ingest":
        body.update(apiActiveProcessingTime=job.milliseconds, apexProcessingTime=0)
    if job.error is not None:
        body["errorMessage"] = job.error
    return body


def _counts(job: Job) -> dict[str, int]:
    if job.kind == "query":
        return {} if job.state == "UploadComplete" else {"numberRecordsProcessed": job.processed}
    if job.state == "Open" and not job.uploaded:
        return {}
    return {"numberRecordsProcessed": job.processed, "numberRecordsFailed": job.failed}


def _head(job: Job) -> dict[str, Any]:
    key = {"externalIdFieldName": job.external_id} if job.external_id else {}
    return {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.created_by,
        "createdDate": to_rest(job.created_at),
        "systemModstamp": to_rest(job.modified_at),
        "state": job.state,
        **key,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
    }


def _format(job: Job) -> dict[str, str]:
    return {"lineEnding": job.line_ending, "columnDelimiter": job.column_delimiter}
