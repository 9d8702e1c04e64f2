"""Handlers of ``/services/async/{version}/job...``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.bulk1 import chunks, formats, runner
from local.salesforce_emulator.bulk1.formats import RefusedError, wants_json
from local.salesforce_emulator.bulk_jobs import Job, NewJob
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.versions import check_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from local.salesforce_emulator.bulk1.batches import Batch
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

    Handler = Callable[[Org, Call], Response]

ROOT = "/services/async/{version}"
_OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete", *runner.QUERIES)
_MODES = {0: "Parallel", 1: "Serial", "0": "Parallel", "1": "Serial"}  # [recorded by its use]
_TYPES = {"JSON": formats.JSON_TYPE, "CSV": formats.CSV_TYPE, "XML": formats.XML_TYPE}
_KINDS = {"ZIP_CSV": "CSV", "ZIP_XML": "XML", "ZIP_JSON": "JSON"}
_CODES = {"INVALID_SESSION_ID": "InvalidSessionId", "REQUEST_LIMIT_EXCEEDED": "ExceededQuota"}


def answer(org: Org, handler: Handler, call: Call) -> Response:
    """Answer a request: session, allowance, then the work.

    A session that ended is 400 InvalidSessionId here, not 401 [captured].
    """
    try:
        check_version(call.version)
        user_id = org.sessions.check(call.headers)
        org.limits.spend()
        return handler(org, replace(call, user_id=user_id))
    except SalesforceError as error:
        status = 400 if error.status == 401 else error.status
        refused = RefusedError(_CODES.get(error.code, error.code), error.message, status)
        return formats.refusal(refused, as_json=wants_json(call))
    except RefusedError as error:
        return formats.refusal(error, as_json=wants_json(call))


def create_job(org: Org, call: Call) -> Response:
    """``POST job``: 201 [recorded]."""
    document = formats.document(call)
    operation = document.get("operation")
    if operation not in _OPERATIONS:
        raise RefusedError("InvalidJob", f"Invalid operation: {operation}")
    object_type = org.schema_of(call.user_id).find_object(str(document.get("object")))
    if object_type is None:
        raise RefusedError("InvalidJob", f"Unable to find object: {document.get('object')}")
    if operation == "upsert" and not document.get("externalIdFieldName"):
        raise RefusedError("InvalidJob", "External ID was blank for upsert")  # [captured]
    new = NewJob(
        "bulk1",
        str(operation),
        object_type.name,
        call.version,
        None,
        "COMMA",
        "LF",
        call.user_id,
        document.get("externalIdFieldName"),
        json.dumps(_options(call, document)),
    )
    return _job_info(org, call, org.jobs.store.create(new), 201)


def _options(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """Return what else a job says; XML is the format of one that says none [documented]."""
    mode = document.get("concurrencyMode") or "Parallel"
    if not isinstance(mode, int | str):
        raise RefusedError("InvalidJob", f"Invalid concurrencyMode: {mode}")
    kind = str(document.get("contentType") or "XML")
    kind = _KINDS.get(kind, kind)
    if kind not in _TYPES:
        raise RefusedError("InvalidJob", f"Invalid contentType: {kind}")
    chunk = call.headers.get("sforce-enable-pkchunking")
    return {
        "concurrencyMode": _MODES.get(mode, mode),
        "contentType": kind,
        "chunkSize": chunks.size(chunk),
    }


def show_job(org: Org, call: Call) -> Response:
    """``GET job/{id}``."""
    return _job_info(org, call, _job(org, call), 200)


def change_job(org: Org, call: Call) -> Response:
    """``POST job/{id}``: Closed or Aborted; answered 200 [recorded]."""
    job, state = _job(org, call), formats.document(call).get("state")
    if state not in ("Closed", "Aborted"):
        raise RefusedError("InvalidJob", f"Invalid state: {state}")
    if job.state == "Aborted":
        raise RefusedError("InvalidJobState", "Aborting already Aborted Job not allowed")
    job = org.jobs.store.update(job, only_from=("Open", "Closed"), state=state)
    if state == "Aborted":
        for batch in org.batches.of(job.id):
            if batch.state == "Queued":
                org.batches.update(batch, state="Not Processed")
    return _job_info(org, call, job, 200)


def _job(org: Org, call: Call) -> Job:
    try:
        return org.jobs.store.get("bulk1", call.params["job"])
    except SalesforceError as error:
        message = f"Unable to find job: {call.params['job']}"
        raise RefusedError("InvalidJob", message) from error


def _job_info(org: Org, call: Call, job: Job, status: int) -> Response:
    """Return the info of a job, keys in the recorded order."""
    batches, options = org.batches.of(job.id), json.loads(job.options)

    def count(*states: str) -> int:
        return sum(batch.state in states for batch in batches)

    values = {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.created_by,
        "createdDate": job.created_at,
        "systemModstamp": job.modified_at,
        "state": job.state,
        "externalIdFieldName": job.external_id,
        "concurrencyMode": options["concurrencyMode"],
        "contentType": options["contentType"],
        "numberBatchesQueued": count("Queued"),
        "numberBatchesInProgress": count("InProgress"),
        "numberBatchesCompleted": count("Completed"),
        "numberBatchesFailed": count("Failed"),
        "numberBatchesTotal": len(batches),
        "numberRecordsProcessed": sum(batch.processed for batch in batches),
        "numberRetries": 0,
        "apiVersion": float(job.version),
        "numberRecordsFailed": sum(batch.failed for batch in batches),
        "totalProcessingTime": sum(batch.milliseconds for batch in batches),
        "apiActiveProcessingTime": sum(batch.milliseconds for batch in batches),
        "apexProcessingTime": 0,
    }
    return formats.info("jobInfo", values, status, as_json=wants_json(call))


def add_batch(org: Org, call: Call) -> Response:
    """``POST job/{id}/batch``: queued, 201 [recorded]."""
    job = _job(org, call)
    if job.state != "Open":
        raise RefusedError("InvalidJobState", f"Job is not open: {job.state}")
    first = chunks.add(org, job, call.body)
    return formats.info("batchInfo", first.info(), 201, as_json=_is_json(job))


def list_batches(org: Org, call: Call) -> Response:
    """``GET job/{id}/batch``."""
    job = _job(org, call)
    found = [batch.info() for batch in org.batches.of(job.id)]
    return formats.infos("batchInfo", found, as_json=_is_json(job))


def show_batch(org: Org, call: Call) -> Response:
    """``GET job/{id}/batch/{batch}``: in the format of the job's data [recorded]."""
    job, batch = _batch(org, call)
    return formats.info("batchInfo", batch.info(), 200, as_json=_is_json(job))


def show_request(org: Org, call: Call) -> Response:
    """``GET job/{id}/batch/{batch}/request``: what was uploaded."""
    job, batch = _batch(org, call)
    body = org.batches.file(job, batch, "request").read_bytes()
    return formats.content(body, _TYPES[runner.content_type(job)])


def show_result(org: Org, call: Call) -> Response:
    """``GET job/{id}/batch/{batch}/result``: of a query, the Ids of its results [recorded]."""
    job, batch = _batch(org, call)
    if batch.state != "Completed":  # [captured for a failed batch]
        raise RefusedError("InvalidBatch", "Records not processed")
    if job.operation not in runner.QUERIES:
        body = org.batches.file(job, batch, "result").read_bytes()
        return formats.content(body, _TYPES[runner.content_type(job)])
    result_id = _result_id(batch)
    if _is_json(job):
        return formats.content(json.dumps([result_id]), formats.JSON_TYPE)
    text = f'<result-list xmlns="{formats.NAMESPACE}"><result>{result_id}</result></result-list>'
    return formats.content(text, formats.XML_TYPE)


def show_query_result(org: Org, call: Call) -> Response:
    """``GET job/{id}/batch/{batch}/result/{result}``."""
    job, batch = _batch(org, call)
    if call.params["result"] != _result_id(batch) or batch.state != "Completed":
        raise RefusedError("InvalidBatch", "Unable to find the result")
    body = org.batches.file(job, batch, "result").read_bytes()
    return formats.content(body, _TYPES[runner.content_type(job)])


def _batch(org: Org, call: Call) -> tuple[Job, Batch]:
    job = _job(org, call)
    return job, org.batches.get(job, call.params["batch"])


def _is_json(job: Job) -> bool:
    return runner.content_type(job) == "JSON"


def _result_id(batch: Batch) -> str:
    """Return the Id of a query batch's only result: 15 characters from 752 [recorded]."""
    return f"752{batch.id[3:15]}"


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/job", create_job),
    ("GET", "/job/{job}", show_job),
    ("POST", "/job/{job}", change_job),
    ("POST", "/job/{job}/batch", add_batch),
    ("GET", "/job/{job}/batch", list_batches),
    ("GET", "/job/{job}/batch/{batch}", show_batch),
    ("GET", "/job/{job}/batch/{batch}/request", show_request),
    ("GET", "/job/{job}/batch/{batch}/result", show_result),
    ("GET", "/job/{job}/batch/{batch}/result/{result}", show_query_result),
)
