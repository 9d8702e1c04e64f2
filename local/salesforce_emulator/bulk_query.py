"""Bulk 2.0 query jobs: ``jobs/query``."""

from __future__ import annotations

import base64
import binascii
import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from local.salesforce_emulator import soql, soql_sql
from local.salesforce_emulator.bulk_jobs import (
    DELIMITERS,
    LINE_ENDINGS,
    TERMINAL,
    Job,
    NewJob,
    created,
    invalid_state,
    patched,
    shown,
)
from local.salesforce_emulator.errors import SalesforceError, not_found

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_PAGE = 50_000  # without maxRecords; a real org chooses by itself [assumed]
_CHUNK = 1 << 20
_PAGES, _PAGES_SINCE = 5, 58.0  # [documented]
CSV_TYPE = "text/csv"  # without a charset


def create_job(org: Org, call: Call) -> Response:
    """``POST jobs/query``: starts at once [captured]. A syntax error is refused here [assumed]."""
    document = call.json()
    operation = document.get("operation")
    if operation not in ("query", "queryAll"):
        raise invalid_job(f"Invalid operation for a query job: {operation}")
    text = str(document.get("query", ""))
    query = soql.parse(text)
    soql_sql.refuse_in_bulk(query)
    object_type = org.schema_of(call.user_id).find_object(query.object_name.text)
    if object_type is None:  # [assumed]
        raise invalid_job(f"sObject type '{query.object_name.text}' is not supported")
    delimiter, line_ending = file_format(document)
    job = org.jobs.store.create(
        NewJob(
            "query",
            operation,
            object_type.name,
            call.version,
            text,
            delimiter,
            line_ending,
            call.user_id,
        )
    )
    org.jobs.start(job)
    org.limits.count("DailyBulkV2QueryJobs")
    return call.answer(created(job))


def invalid_job(message: str) -> SalesforceError:
    """Return 400 INVALIDJOB [assumed body]."""
    return SalesforceError(400, "INVALIDJOB", message)


def file_format(document: dict[str, object]) -> tuple[str, str]:
    """Return the delimiter and the line ending; both may be left out [documented].

    Raises:
        SalesforceError: 400, a name Salesforce does not know.
    """
    delimiter = str(document.get("columnDelimiter") or "COMMA")
    line_ending = str(document.get("lineEnding") or "LF")
    content_type = document.get("contentType") or "CSV"
    if delimiter not in DELIMITERS or line_ending not in LINE_ENDINGS or content_type != "CSV":
        raise invalid_job("columnDelimiter, lineEnding or contentType is not valid")
    return delimiter, line_ending


def show_job(org: Org, call: Call) -> Response:
    """``GET jobs/query/{id}``."""
    return call.answer(shown(org.jobs.store.get("query", call.params["id"])))


def list_jobs(org: Org, call: Call) -> Response:
    """``GET jobs/query``."""
    records = [shown(job) for job in org.jobs.store.list("query")]
    return call.answer({"done": True, "records": records, "nextRecordsUrl": None})


def change_state(org: Org, call: Call) -> Response:
    """``PATCH jobs/query/{id}``: a query job can only be aborted [documented]."""
    job = org.jobs.store.get("query", call.params["id"])
    if call.json().get("state") != "Aborted" or job.state in TERMINAL:
        raise invalid_state(job, "This change of state")
    active = ("UploadComplete", "InProgress")
    return call.answer(patched(org.jobs.store.update(job, only_from=active, state="Aborted")))


def delete_job(org: Org, call: Call) -> Response:
    """``DELETE jobs/query/{id}``: 204, once it has ended [documented]."""
    job = org.jobs.store.get("query", call.params["id"])
    if job.state not in TERMINAL:
        raise invalid_state(job, "Deleting")
    org.jobs.store.delete(job)
    return Response(status_code=204)


def result_pages(org: Org, call: Call) -> Response:
    """``GET jobs/query/{id}/resultPages``: where to read pages side by side, five at a time.

    Since v58 [documented]; each address has a page of the size that results have without
    ``maxRecords``.
    """
    if float(call.version) < _PAGES_SINCE:
        raise not_found()
    job = org.jobs.store.get("query", call.params["id"])
    _check_ready(job, call)
    total = len(org.jobs.store.file(job, "offsets").read_bytes()) // array("Q").itemsize - 1
    first = _first_row(call.query.get("locator"))
    starts = list(range(first, max(total, 1), _PAGE))
    root = f"{call.data_path}/jobs/query/{job.id}"
    pages = [{"resultUrl": f"{root}/results?locator={_locator(at)}"} for at in starts[:_PAGES]]
    body: dict[str, object] = {"resultPages": pages, "done": len(starts) <= _PAGES}
    if len(starts) > _PAGES:
        body["nextRecordsUrl"] = f"{root}/resultPages?locator={_locator(starts[_PAGES])}"
    return call.answer(body)


@dataclass(frozen=True, slots=True)
class _Page:
    rows: range
    total: int
    header: bytes
    begin: int
    end: int
    path: Path


def results(org: Org, call: Call) -> Response:
    """``GET jobs/query/{id}/results``: one page of CSV.

    ``Sforce-Locator`` is the text ``null`` on the last page [documented]; the content type
    carries no charset [recorded for Bulk 1.0, assumed here].
    """
    job = org.jobs.store.get("query", call.params["id"])
    _check_ready(job, call)
    page = _page(org, job, call)
    more = page.rows.stop < page.total
    headers = {
        "Content-Type": CSV_TYPE,
        "Sforce-NumberOfRecords": str(len(page.rows)),
        "Sforce-Locator": _locator(page.rows.stop) if more else "null",
    }
    return StreamingResponse(_bytes(page), headers=headers)


def _check_ready(job: Job, call: Call) -> None:
    if job.state != "JobComplete":
        status = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", job.state).upper()
        raise SalesforceError(
            412,
            "JOB_NOT_COMPLETE",
            "can only download query results of successfully completed bulk job with status: "
            f"JOB_COMPLETE. Current status: {status}",
        )  # [documented]
    if job.version != call.version:  # [documented status, assumed body]
        raise SalesforceError(
            409, "API_VERSION_MISMATCH", f"The job was made with version {job.version}"
        )


def _page(org: Org, job: Job, call: Call) -> _Page:
    offsets = array("Q", org.jobs.store.file(job, "offsets").read_bytes())
    total = len(offsets) - 1
    first = _first_row(call.query.get("locator"))
    if first > total:
        raise SalesforceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    rows = range(first, min(first + _max_records(call), total))
    header = org.jobs.store.file(job, "header").read_bytes()
    path = org.jobs.store.file(job, "rows")
    return _Page(rows, total, header, offsets[rows.start], offsets[rows.stop], path)


def _max_records(call: Call) -> int:
    text = call.query.get("maxRecords", str(_PAGE))
    if not text.isdigit() or int(text) == 0:
        raise SalesforceError(400, "INVALID_INPUT", "maxRecords must be a positive number")
    return int(text)


def _locator(row: int) -> str:
    """Return a locator; the documented examples are base64 of a row number, treat as opaque."""
    return base64.urlsafe_b64encode(str(row).encode()).decode().rstrip("=")


def _first_row(locator: str | None) -> int:
    if locator is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)))
    except (ValueError, binascii.Error) as error:
        raise SalesforceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator") from error


def _bytes(page: _Page) -> Iterator[bytes]:
    yield page.header
    with page.path.open("rb") as file:
        file.seek(page.begin)
        left = page.end - page.begin
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
