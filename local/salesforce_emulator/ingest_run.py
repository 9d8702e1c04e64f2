"""Runs a bulk ingest job: reads the upload in batches, writes the result files."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from typing import TYPE_CHECKING

from local.salesforce_emulator import external_ids
from local.salesforce_emulator.bulk_progress import JobFailedError, Progress
from local.salesforce_emulator.bulk_update import FastUpdate
from local.salesforce_emulator.errors import RowError, SalesforceError
from local.salesforce_emulator.ingest_results import Results
from local.salesforce_emulator.ingest_rows import Columns, batches, columns_of
from local.salesforce_emulator.records import Change
from local.salesforce_emulator.row_contention import RowContention
from local.salesforce_emulator.saving import Desk, Outcome, rules_of_job

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.bulk_jobs import Job
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org

    Rows = list[list[str]]

INTERNAL_ERROR = "InternalServerError : Internal error"  # [assumed]
_NO_ID = RowError("MISSING_ARGUMENT", "Id not specified in an update call")  # [documented]
_ID_GIVEN = RowError(
    "INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ("Id",)
)  # [documented]


def run_ingest(job: Job, org: Org, progress: Progress) -> None:
    """Apply the upload and write ``successfulResults`` and ``failedResults``.

    A batch is one transaction; running the job again after a kill repeats it from the start,
    which changes nothing but the stamps for an update.

    Raises:
        JobFailedError: a column does not exist or is hidden: the whole job fails and no row is
            processed [captured]. So it does when the object may not be read any more [assumed].
    """
    schema = org.schema_of(job.created_by)
    object_type = schema.find_object(job.object)
    if object_type is None:
        raise JobFailedError(f"InvalidBatch : Entity '{job.object}' is not supported")
    store = org.jobs.store
    with ExitStack() as files:
        upload = files.enter_context(
            store.file(job, "upload").open(encoding="utf-8-sig", newline="")
        )
        header = upload.readline()
        columns = columns_of(header.rstrip("\r\n"), job.delimiter, schema, object_type)
        results = Results(job, store, files, header.rstrip("\r\n"), columns)
        failure = org.faults.for_job("job_failed", job.object, job.operation)
        batch_saver = BatchSaver(job, org, object_type, columns)
        reader = csv.reader(upload, delimiter=job.delimiter)
        for rows in batches(reader, failure.rows if failure else None):
            results.add(rows, batch_saver.save(rows))
            org.limits.count("DailyBulkApiBatches")
            progress.report(results.processed, results.failed)
    if failure is not None:
        raise JobFailedError(failure.text or INTERNAL_ERROR)


class BatchSaver:
    """Saves the batches of one job, each in one transaction."""

    def __init__(self, job: Job, org: Org, object_type: ObjectType, columns: Columns) -> None:
        self._job = job
        self._org = org
        self._columns = columns
        self._object_type = object_type
        schema = org.schema_of(job.created_by)
        self._contention = RowContention(object_type, is_parallel=job.is_parallel)
        rules = rules_of_job(org, job, f"/jobs/ingest/{job.id}", object_type)
        self._desk = Desk(org, object_type, rules)
        self._key: Field | None = None
        if job.operation == "upsert":
            self._key = _key(org, job, object_type)
        self._fast = FastUpdate(schema, object_type, columns, rules)

    def save(self, rows: Rows) -> list[Outcome]:
        """Save one batch; one outcome per row, in order."""
        with self._org.database.write() as connection:
            if self._is_plain():
                outcomes, left = self._fast.save(connection, rows)
                for at in left:
                    (outcomes[at],) = self._save_one_by_one(connection, [rows[at]])
                return [each for each in outcomes if each is not None]
            return self._save_one_by_one(connection, rows)

    def _is_plain(self) -> bool:
        """Whether nothing can stand in the way of this batch but its own rows."""
        return (
            self._job.operation == "update"
            and self._fast.is_possible
            and self._org.rules.is_empty
            and self._org.faults.is_empty
            and self._org.options.unchanged_saves_stamp
            and not self._org.options.row_contention
        )

    def _save_one_by_one(self, connection: sqlite3.Connection, rows: Rows) -> list[Outcome]:
        held = self._held(connection, rows)
        errors = [
            self._columns.refused(row) or self._refused_id(row) or held.get(at)
            for at, row in enumerate(rows)
        ]
        good = [row for row, error in zip(rows, errors, strict=True) if error is None]
        saved = iter(self._save_good(connection, good))
        return [next(saved) if error is None else error for error in errors]

    def _held(self, connection: sqlite3.Connection, rows: Rows) -> dict[int, RowError]:
        if not self._org.options.row_contention:
            return {}
        ids = [self._columns.record_id(row) for row in rows]
        return self._contention.refused(connection, ids)

    def _refused_id(self, row: list[str]) -> RowError | None:
        has_id = bool(self._columns.record_id(row))
        if self._job.operation == "insert":
            return _ID_GIVEN if has_id else None
        if self._job.operation == "upsert":
            return None
        return None if has_id else _NO_ID

    def _save_good(self, connection: sqlite3.Connection, rows: Rows) -> list[Outcome]:
        columns, operation = self._columns, self._job.operation
        if operation == "insert":
            return self._desk.create(connection, [columns.values(row) for row in rows])
        if operation == "update":
            changes = [Change(columns.record_id(row), columns.values(row)) for row in rows]
            return self._desk.update(connection, changes)
        if operation == "upsert":
            return self._upsert(connection, rows)
        return self._desk.delete(connection, [columns.record_id(row) for row in rows])

    def _upsert(self, connection: sqlite3.Connection, rows: Rows) -> list[Outcome]:
        assert self._key is not None  # noqa: S101 - set for this operation
        records = []
        for row in rows:
            values = self._columns.values(row)
            if self._key.name == "Id":
                values[self._key] = self._columns.record_id(row)
            records.append(values)
        return self._desk.upsert(connection, self._key, records)


def _key(org: Org, job: Job, object_type: ObjectType) -> Field:
    try:
        schema = org.schema_of(job.created_by)
        return external_ids.key_field(schema, object_type, job.external_id or "Id")
    except SalesforceError as error:
        raise JobFailedError(f"InvalidBatch : {error.message}") from error
