"""Runs a bulk update job: reads the upload in batches, writes the result files."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.bulk_progress import JobFailedError, Progress
from local.salesforce_emulator.errors import RowError
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.records import Change, Saver, SaveRules
from local.salesforce_emulator.schema import UnknownFieldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import TextIOWrapper

    from local.salesforce_emulator.bulk_jobs import Job, JobStore
    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.faults import Fault, Faults
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.schema import Schema

_BATCH = 10_000  # records per batch which Salesforce makes [documented]
_NULL = "#N/A"  # sets a field to nothing; an empty value leaves it alone [documented]
_FAILS_WITH_ID = 53.0  # since this version failed rows carry their Id [documented]
_NO_ID = RowError("MISSING_ARGUMENT", "Id not specified in an update call")  # [documented]
INTERNAL_ERROR = "InternalServerError : Internal error"  # [assumed]
_UNEVEN = RowError("INVALID_INPUT", "the row has not as many values as the header")  # [assumed]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the Id stands, and which field each other column is."""

    id_position: int | None
    fields: tuple[Field | None, ...]


def run_ingest(
    job: Job,
    store: JobStore,
    database: Database,
    schema: Schema,
    faults: Faults,
    progress: Progress,
) -> None:
    """Apply the upload and write ``successfulResults`` and ``failedResults``.

    A batch is one transaction; running the job again after a kill repeats it from the start,
    which changes nothing but the stamps.

    Raises:
        JobFailedError: a column does not exist or is hidden: the whole job fails and no row is
            processed [captured]. So it does when the object may not be read any more [assumed].
    """
    object_type = schema.find_object(job.object)
    if object_type is None:
        raise JobFailedError(f"InvalidBatch : Entity '{job.object}' is not supported")
    rules = SaveRules(
        job.created_by,
        object_type.name,
        fault=lambda each: faults.for_record(
            "", f"/jobs/ingest/{job.id}", each, object_type.name, job.operation
        ),
    )
    saver = Saver(schema, object_type, rules)
    with ExitStack() as files:
        upload = files.enter_context(
            store.file(job, "upload").open(encoding="utf-8-sig", newline="")
        )
        header = upload.readline()
        columns = _columns(job, schema, object_type, header)
        results = _Results(job, store, files, header.rstrip("\r\n"))
        failure = faults.for_job("job_failed", job.object, job.operation)
        for rows in _batches(csv.reader(upload, delimiter=job.delimiter), failure):
            results.add(columns, rows, _save(database, saver, columns, rows))
            progress.report(results.processed, results.failed)
    if failure is not None:
        raise JobFailedError(failure.text or INTERNAL_ERROR)


def _columns(job: Job, schema: Schema, object_type: ObjectType, header: str) -> _Columns:
    names = next(csv.reader([header], delimiter=job.delimiter), [])
    id_position = None
    fields: list[Field | None] = []
    for position, name in enumerate(names):
        if name.lower() == "id":
            id_position = position
            fields.append(None)
            continue
        try:
            fields.append(schema.visible_field(object_type, name))
        except UnknownFieldError as error:
            raise JobFailedError(f"InvalidBatch : Field name not found : {name}") from error
    return _Columns(id_position, tuple(fields))


def _batches(reader: Iterator[list[str]], failure: Fault | None) -> Iterator[list[list[str]]]:
    """Yield the rows in batches; a job that is to fail stops reading after its ``rows``."""
    rows = islice((row for row in reader if row), failure.rows if failure else None)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _save(
    database: Database, saver: Saver, columns: _Columns, rows: list[list[str]]
) -> list[RowError | None]:
    """Save one batch in one transaction; one entry per row, None where it worked."""
    errors = [_refused_shape(columns, row) for row in rows]
    changes = [
        _change(columns, row) for row, error in zip(rows, errors, strict=True) if error is None
    ]
    with database.write() as connection:
        saved = iter(saver.update(connection, changes))
    return [next(saved) if error is None else error for error in errors]


def _refused_shape(columns: _Columns, row: Sequence[str]) -> RowError | None:
    if len(row) != len(columns.fields):
        return _UNEVEN
    return None if _id_of(columns, row) else _NO_ID


def _change(columns: _Columns, row: Sequence[str]) -> Change:
    values = {
        field: None if value == _NULL else value
        for field, value in zip(columns.fields, row, strict=True)
        if field is not None and value != ""
    }
    return Change(_id_of(columns, row), values)


def _id_of(columns: _Columns, row: Sequence[str]) -> str:
    position = columns.id_position
    return "" if position is None or position >= len(row) else row[position]


class _Results:
    """The two result files: the uploaded header line verbatim after two columns [captured]."""

    def __init__(self, job: Job, store: JobStore, files: ExitStack, header: str) -> None:
        self._job = job
        self._success = self._open(store, files, "successfulResults", "sf__Created", header)
        self._failure = self._open(store, files, "failedResults", "sf__Error", header)
        self.processed = 0
        self.failed = 0

    def _open(self, store: JobStore, files: ExitStack, name: str, second: str, header: str) -> Any:
        file: TextIOWrapper = files.enter_context(
            store.file(self._job, name).open("w", encoding="utf-8", newline="")
        )
        between = self._job.delimiter
        file.write(f'"sf__Id"{between}"{second}"{between}{header}{self._job.newline}')
        return csv.writer(
            file,
            delimiter=between,
            lineterminator=self._job.newline,
            quoting=csv.QUOTE_ALL,
        )

    def add(self, columns: _Columns, rows: list[list[str]], errors: list[RowError | None]) -> None:
        """Write one line per row."""
        for row, error in zip(rows, errors, strict=True):
            given = _id_of(columns, row)
            self.processed += 1
            if error is None:
                self._success.writerow((to_18(given, ""), "false", *row))
                continue
            self.failed += 1
            shown = given if float(self._job.version) >= _FAILS_WITH_ID else ""
            self._failure.writerow((shown, error.as_sf_error(), *row))
