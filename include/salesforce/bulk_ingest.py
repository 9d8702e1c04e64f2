"""Sets one flag to true on many records by Bulk API 2.0 jobs; a flag is never cleared in bulk.

A job has no effect until its upload is declared complete, so everything before that may be
thrown away and done again; everything after it is only ever read.
"""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from include.salesforce.bulk_jobs import (
    ABORTED,
    Job,
    Polling,
    abort,
    await_end,
    create_job,
    download,
    set_state,
)
from include.salesforce.csv_results import read_csv
from include.salesforce.errors import IncompleteJobError, SalesforceUnavailableError
from include.salesforce.failures import INVALID_FIELD, UNPROCESSED, code_of_row
from include.salesforce.jobs import JobJournal
from include.salesforce.outcomes import reconcile
from include.salesforce.records import as_18, checked_field
from include.salesforce.session import SalesforceSession

log = logging.getLogger(__name__)

MAX_ROWS_PER_JOB: Final = 100_000  # 2.5 MB of ours; the limit of 150 MB is far away
_OPERATION: Final = "update"
_CSV: Final = {"contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF"}


@dataclass(frozen=True, slots=True)
class BulkIngest:
    """One flag for many records, and how to wait for it."""

    session: SalesforceSession
    object_name: str
    field: str
    polling: Polling
    rows_per_job: int = MAX_ROWS_PER_JOB

    def write(self, record_ids: pd.Series, jobs: JobJournal) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of one job after the other; the next starts when it is consumed."""
        for start in range(0, len(record_ids), self.rows_per_job):
            sent = record_ids.iloc[start : start + self.rows_per_job]
            yield self._write_job(sent.reset_index(drop=True), jobs)

    def _write_job(self, sent: pd.Series, jobs: JobJournal) -> pd.DataFrame:
        body = to_csv(sent, self.field)
        key, job = self.session.repeat(lambda: self._uploaded(body, jobs))
        set_state(self.session, job, "UploadComplete", only_from={"Open"})
        job = await_end(self.session, job, self.polling)
        if not job.has_ended:
            job = abort(self.session, job, self.polling)
        if not job.has_ended:
            raise IncompleteJobError(f"job {job.job_id} neither ends nor lets itself be aborted")
        jobs.finished(key, job.state, job.processed, job.failed)
        return read_outcomes(self.session, job, sent)

    def _uploaded(self, body: bytes, jobs: JobJournal) -> tuple[int, Job]:
        """Create a job and upload to it; a lost upload costs the job, which had no effect yet."""
        key = jobs.planned(self.object_name, _OPERATION)
        document = {"object": self.object_name, "operation": _OPERATION, **_CSV}
        job = create_job(self.session, "ingest", document)
        jobs.created(key, job.job_id)
        headers = {"Content-Type": "text/csv; charset=UTF-8"}
        path = f"{job.path}/batches"
        try:
            self.session.request("PUT", path, repeatable=False, data=body, headers=headers)
        except SalesforceUnavailableError:
            abort(self.session, job, self.polling)
            jobs.finished(key, ABORTED, 0, 0)
            raise
        return key, job


def to_csv(record_ids: pd.Series, field: str) -> bytes:
    """Write the upload: header and one line per record, LF, nothing that needs quotes.

    An empty value would mean "leave as it is" to Salesforce, so there is always one.
    """
    lines = [f"Id,{checked_field(field)}", *(f"{each},true" for each in record_ids), ""]
    return "\n".join(lines).encode("ascii")


def read_outcomes(session: SalesforceSession, job: Job, sent: pd.Series) -> pd.DataFrame:
    """Read the three results of a job that has ended, until they add up.

    Reading changes nothing, so it may be done again for a job of an earlier run.

    Raises:
        IncompleteJobError: they do not add up to the rows sent.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = session.repeat(lambda: _reconciled(session, job, sent, Path(folder) / "result.csv"))
    log.info("Job %s ended %s: %d rows, %d failed", job.job_id, job.state, len(found), job.failed)
    return found


def _reconciled(
    session: SalesforceSession, job: Job, sent: pd.Series, buffer: Path
) -> pd.DataFrame:
    failed = _result(session, job, "failedResults", ["Id", "sf__Error"], buffer)
    return reconcile(
        sent,
        successful=_result(session, job, "successfulResults", ["Id"], buffer)["Id"],
        failed=dict(zip(failed["Id"], failed["sf__Error"].map(code_of_row), strict=True)),
        unprocessed=_result(session, job, "unprocessedrecords", ["Id"], buffer)["Id"],
        job_id=job.job_id,
        unprocessed_code=INVALID_FIELD if job.error_code == INVALID_FIELD else UNPROCESSED,
    )


def _result(
    session: SalesforceSession, job: Job, name: str, columns: list[str], buffer: Path
) -> pd.DataFrame:
    download(session, f"{job.path}/{name}", buffer, {})
    table = read_csv(buffer, dict.fromkeys(columns, pa.string()))
    frame: pd.DataFrame = table.set_column(0, "Id", as_18(table["Id"])).to_pandas()
    return frame
