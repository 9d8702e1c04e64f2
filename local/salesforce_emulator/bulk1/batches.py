"""Batches of Bulk API 1.0 jobs in the database, their data in files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.bulk1.formats import RefusedError
from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.ids import make_id, to_18

if TYPE_CHECKING:
    from pathlib import Path

    from local.salesforce_emulator.bulk_jobs import Job, JobStore
    from local.salesforce_emulator.database import Database

_PREFIX = "751"
_COLUMNS = (
    "id, job, state, created_at, modified_at, message, processed, failed, milliseconds"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch; the fields are in the order of the columns."""

    id: str
    job: str
    state: str
    created_at: str
    modified_at: str
    message: str | None
    processed: int
    failed: int
    milliseconds: int

    def info(self) -> dict[str, Any]:
        """Return the info, keys in the recorded order."""
        return {
            "id": self.id,
            "jobId": self.job,
            "state": self.state,
            "stateMessage": self.message,
            "createdDate": self.created_at,
            "systemModstamp": self.modified_at,
            "numberRecordsProcessed": self.processed,
            "numberRecordsFailed": self.failed,
            "totalProcessingTime": self.milliseconds,
            "apiActiveProcessingTime": self.milliseconds,
            "apexProcessingTime": 0,
        }


class BatchStore:
    """The batches of all jobs."""

    def __init__(self, database: Database, jobs: JobStore) -> None:
        self._database = database
        self._jobs = jobs

    def create(self, job: Job, state: str = "Queued") -> Batch:
        """Keep a new batch."""
        stamp = to_stored(now())
        with self._database.write() as connection:
            (number,) = self._database.next_numbers(connection, _PREFIX, 1)
            batch = Batch(make_id(_PREFIX, number), job.id, state, stamp, stamp, None, 0, 0, 0)
            connection.execute(
                f"insert into batch ({_COLUMNS}) values (?, ?, ?, ?, ?, null, 0, 0, 0)",  # noqa: S608
                (batch.id, batch.job, batch.state, stamp, stamp),
            )
        return batch

    def get(self, job: Job, batch_id: str) -> Batch:
        """Return a batch.

        Raises:
            RefusedError: the job has no such batch [documented code].
        """
        row = (
            self._database.read()
            .execute(
                f"select {_COLUMNS} from batch where id = ? and job = ?",  # noqa: S608
                (to_18(batch_id, _PREFIX), job.id),
            )
            .fetchone()
        )
        if row is None:
            raise RefusedError("InvalidBatch", f"Unable to find batch: {batch_id}")
        return Batch(*row)

    def of(self, job_id: str) -> list[Batch]:
        """Return the batches of a job, in the order they came."""
        rows = self._database.read().execute(
            f"select {_COLUMNS} from batch where job = ? order by id",  # noqa: S608
            (job_id,),
        )
        return [Batch(*row) for row in rows]

    def unfinished(self) -> list[Batch]:
        """Return what an earlier process left."""
        rows = self._database.read().execute(
            f"select {_COLUMNS} from batch where state in ('Queued', 'InProgress') order by id"  # noqa: S608
        )
        return [Batch(*row) for row in rows]

    def update(self, batch: Batch, **values: object) -> None:
        """Change columns of a batch."""
        settings = ", ".join(f"{name} = ?" for name in (*values, "modified_at"))
        with self._database.write() as connection:
            connection.execute(
                f"update batch set {settings} where id = ?",  # noqa: S608
                (*values.values(), to_stored(now()), batch.id),
            )

    def file(self, job: Job, batch: Batch, name: str) -> Path:
        """Return the path of one of the batch's files."""
        return self._jobs.file(job, f"{batch.id}.{name}")
