"""Bulk 2.0 ingest jobs: ``jobs/ingest``."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, Response

from local.salesforce_emulator.bulk_jobs import (
    TERMINAL,
    Job,
    NewJob,
    created,
    invalid_state,
    patched,
    shown,
)
from local.salesforce_emulator.bulk_query import CSV_TYPE, file_format, invalid_job
from local.salesforce_emulator.errors import SalesforceError, not_emulated, not_found

if TYPE_CHECKING:
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
_CHANGES = {
    "UploadComplete": ("Open",),
    "Aborted": ("Open", "UploadComplete", "InProgress"),
}
_RESULTS = {
    "successfulresults": "successfulResults",
    "failedresults": "failedResults",
    "unprocessedrecords": "unprocessedrecords",
}
MOST_BYTES = 150_000_000  # [documented]


def create_job(org: Org, call: Call) -> Response:
    """``POST jobs/ingest``."""
    document = call.json()
    operation = document.get("operation")
    if operation not in _OPERATIONS:
        raise invalid_job(f"Invalid operation: {operation}")
    if document.get("assignmentRuleId"):
        raise not_emulated("assignmentRuleId")
    object_type = org.schema_of(call.user_id).find_object(str(document.get("object")))
    if object_type is None or not object_type.saves:  # [assumed]
        raise invalid_job(f"Object {document.get('object')} cannot be updated by Bulk API")
    delimiter, line_ending = file_format(document)
    new = NewJob(
        "ingest",
        operation,
        object_type.name,
        call.version,
        None,
        delimiter,
        line_ending,
        call.user_id,
        _external_id(operation, document),
    )
    return call.answer(created(org.jobs.store.create(new)))


def _external_id(operation: str, document: dict[str, Any]) -> str | None:
    """Return the field to upsert by, which an upsert must name [documented]."""
    if operation != "upsert":
        return None
    name = document.get("externalIdFieldName")
    if not name:
        raise invalid_job("externalIdFieldName is required for upsert operation")
    return str(name)


def show_job(org: Org, call: Call) -> Response:
    """``GET jobs/ingest/{id}``."""
    return call.answer(shown(org.jobs.store.get("ingest", call.params["id"])))


def list_jobs(org: Org, call: Call) -> Response:
    """``GET jobs/ingest``."""
    records = [shown(job) for job in org.jobs.store.list("ingest")]
    return call.answer({"done": True, "records": records, "nextRecordsUrl": None})


def job_for_upload(org: Org, job_id: str) -> Job:
    """Return a job which may take its data: one upload per job [documented].

    Raises:
        SalesforceError: 404, or 400 in any other state.
    """
    job = org.jobs.store.get("ingest", job_id)
    if job.state != "Open" or job.uploaded:
        raise invalid_state(job, "Uploading")
    return job


def too_large() -> SalesforceError:
    """Return the refusal of an upload over the limit [documented limit, assumed body]."""
    return SalesforceError(413, "REQUEST_ENTITY_TOO_LARGE", "The upload exceeds 150 MB")


def change_state(org: Org, call: Call) -> Response:
    """``PATCH jobs/ingest/{id}``: data complete, or abort."""
    job = org.jobs.store.get("ingest", call.params["id"])
    state = str(call.json().get("state"))
    before = _CHANGES.get(state, ())
    if job.state not in before:
        raise invalid_state(job, f"The state {state}")
    if state == "UploadComplete" and not job.uploaded:
        raise invalid_state(job, "The state UploadComplete without any data")  # [assumed]
    job = org.jobs.store.update(job, only_from=before, state=state)
    if job.state == "UploadComplete":
        org.jobs.start(job)
    return call.answer(patched(job))


def delete_job(org: Org, call: Call) -> Response:
    """``DELETE jobs/ingest/{id}``: 204, once it has ended [documented]."""
    job = org.jobs.store.get("ingest", call.params["id"])
    if job.state not in TERMINAL:
        raise invalid_state(job, "Deleting")
    org.jobs.store.delete(job)
    return Response(status_code=204)


def results(org: Org, call: Call) -> Response:
    """``GET jobs/ingest/{id}/successfulResults`` and its two sisters, in any case [documented]."""
    job = org.jobs.store.get("ingest", call.params["id"])
    name = _RESULTS.get(call.params["results"].lower())
    if name is None:
        raise not_found()
    if job.state not in TERMINAL:  # [assumed]
        raise invalid_state(job, "Reading results")
    if name == "unprocessedrecords":
        return Response(_unprocessed(org, job), headers={"Content-Type": CSV_TYPE})
    path = org.jobs.store.file(job, name)
    if not path.exists():  # a job which failed as a whole has no results [assumed]
        return Response(b"", headers={"Content-Type": CSV_TYPE})
    return FileResponse(path, headers={"Content-Type": CSV_TYPE})


def _unprocessed(org: Org, job: Job) -> bytes:
    """Return the uploaded header and the rows which were not reached [captured]."""
    path = org.jobs.store.file(job, "upload")
    if not path.exists():
        return b""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rest = StringIO(newline="")
        rest.write(file.readline())
        if job.state != "JobComplete":
            rows = (row for row in csv.reader(file, delimiter=job.delimiter) if row)
            writer = csv.writer(rest, delimiter=job.delimiter, lineterminator=job.newline)
            writer.writerows(islice(rows, job.processed, None))
    return rest.getvalue().encode()
