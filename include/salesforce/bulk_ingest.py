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
    Job,
    Polling,
    abort,
    await_end,
    create_job,
    download,
    find_job,
    open_jobs,
    set_state,
)
from include.salesforce.csv_results import read_csv
from include.salesforce.errors import IncompleteJobError, SalesforceUnavailableError
from include.salesforce.failures import INVALID_FIELD, UNPROCESSED, code_of_row
from include.salesforce.jobs import JobJournal
from include.salesforce.outcomes import reconcile
from include.salesforce.records import as_18, checked_field
from include.salesforce.session import SalesforceSession
from include.salesforce.users import read_user_id

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

    def resume(self, record_ids: pd.Series, jobs: JobJournal) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of jobs that an earlier start of this step left behind.

        A job whose data was declared complete has its effect, whoever waits for it: it is waited
        for and read, and nothing is sent again. One that was not has none, and is aborted.

        Args:
            record_ids: what is still to be written; outcomes of other records are known already.
            jobs: remembers the jobs.
        """
        self._abort_unknown(jobs)
        for left in jobs.left(self.object_name, _OPERATION, self.field):
            job = find_job(self.session, "ingest", left.job_id) if left.job_id else None
            if job is not None and not job.has_ended and job.state != "Open":
                log.info("Going on with ingest job %s", job.job_id)
                job = self._ended(left.key, job, jobs)
            elif job is not None and job.state == "Open":
                job = self._aborted(left.key, job, jobs)
            if job is not None and job.processed:
                found = read_outcomes(self.session, job, None, left.rows)
                yield found[found["record_id"].isin(record_ids)].reset_index(drop=True)
            jobs.settled(left.key)

    def write(self, record_ids: pd.Series, jobs: JobJournal) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of one job after the other; the next starts when it is consumed."""
        for start in range(0, len(record_ids), self.rows_per_job):
            sent = record_ids.iloc[start : start + self.rows_per_job]
            key, found = self._write_job(sent.reset_index(drop=True), jobs)
            yield found
            jobs.settled(key)

    def _write_job(self, sent: pd.Series, jobs: JobJournal) -> tuple[int, pd.DataFrame]:
        body = to_csv(sent, self.field)
        key, job = self.session.repeat(lambda: self._uploaded(body, len(sent), jobs))
        set_state(self.session, job, "UploadComplete", only_from={"Open"})
        job = self._ended(key, job, jobs)
        return key, read_outcomes(self.session, job, sent, len(sent))

    def _ended(self, key: int, job: Job, jobs: JobJournal) -> Job:
        job = await_end(self.session, job, self.polling, waiting=jobs.waiting)
        if not job.has_ended:
            job = abort(self.session, job, self.polling)
        if not job.has_ended:
            raise IncompleteJobError(f"job {job.job_id} neither ends nor lets itself be aborted")
        jobs.finished(key, job.state, job.processed, job.failed)
        return job

    def _uploaded(self, body: bytes, rows: int, jobs: JobJournal) -> tuple[int, Job]:
        """Create a job and upload to it; a lost upload costs the job, which had no effect yet."""
        self._abort_unknown(jobs)  # of the attempt before, if its reply was lost
        key = jobs.planned(self.object_name, _OPERATION, self.field, rows)
        document = {"object": self.object_name, "operation": _OPERATION, **_CSV}
        job = create_job(self.session, "ingest", document)
        jobs.created(key, job.job_id)
        headers = {"Content-Type": "text/csv; charset=UTF-8"}
        path = f"{job.path}/batches"
        try:
            self.session.request("PUT", path, repeatable=False, data=body, headers=headers)
        except SalesforceUnavailableError:
            self._aborted(key, job, jobs)
            jobs.settled(key)
            raise
        return key, job

    def _aborted(self, key: int, job: Job, jobs: JobJournal) -> Job:
        """Abort a job whose data was not declared complete."""
        ended = abort(self.session, job, self.polling)
        jobs.finished(key, ended.state, ended.processed, ended.failed)
        return ended

    def _abort_unknown(self, jobs: JobJournal) -> None:
        """Abort what nobody will ever complete: jobs of dead runs, and jobs without a name.

        A job has no name if the process was killed, or the reply lost, while it was created. It
        is looked for only then: an open job of our user that the journal does not know.
        """
        ours = jobs.left(self.object_name, _OPERATION, self.field)
        left = [
            *jobs.abandoned(self.object_name, _OPERATION),
            *(each for each in ours if each.job_id is None),
        ]
        if any(each.job_id is None for each in left):
            self._abort_nameless(jobs)
        for each in left:
            job = find_job(self.session, "ingest", each.job_id) if each.job_id else None
            if job is not None and not job.has_ended:
                self._aborted(each.key, job, jobs)
            jobs.settled(each.key)

    def _abort_nameless(self, jobs: JobJournal) -> None:
        us = read_user_id(self.session)
        found = list(open_jobs(self.session, self.object_name, _OPERATION, us))
        known = jobs.known([job.job_id for job in found])
        for job in found:
            if job.job_id not in known:
                abort(self.session, job, self.polling)


def to_csv(record_ids: pd.Series, field: str) -> bytes:
    """Write the upload: header and one line per record, LF, nothing that needs quotes.

    An empty value would mean "leave as it is" to Salesforce, so there is always one.
    """
    lines = [f"Id,{checked_field(field)}", *(f"{each},true" for each in record_ids), ""]
    return "\n".join(lines).encode("ascii")


def read_outcomes(
    session: SalesforceSession, job: Job, sent: pd.Series | None, rows: int | None
) -> pd.DataFrame:
    """Read the three results of a job that has ended, until they add up.

    Reading changes nothing, so it may be done again for a job of an earlier run.

    Args:
        session: the session.
        job: that has ended.
        sent: the records sent; None if only their number is known: then those of the results.
        rows: how many were sent.

    Raises:
        IncompleteJobError: they do not add up to the rows sent.
    """
    with tempfile.TemporaryDirectory() as folder:
        buffer = Path(folder) / "result.csv"
        found = session.repeat(lambda: _reconciled(session, job, sent, rows, buffer))
    log.info("Job %s ended %s: %d rows, %d failed", job.job_id, job.state, len(found), job.failed)
    return found


def _reconciled(
    session: SalesforceSession, job: Job, sent: pd.Series | None, rows: int | None, buffer: Path
) -> pd.DataFrame:
    failed = _result(session, job, "failedResults", ["Id", "sf__Error"], buffer)
    successful = _result(session, job, "successfulResults", ["Id"], buffer)["Id"]
    unprocessed = _result(session, job, "unprocessedrecords", ["Id"], buffer)["Id"]
    if sent is None:
        sent = pd.concat([successful, failed["Id"], unprocessed], ignore_index=True)
        if len(sent) != rows:
            raise IncompleteJobError(f"job {job.job_id} tells of {len(sent)} rows of {rows}")
    return reconcile(
        sent,
        successful=successful,
        failed=dict(zip(failed["Id"], failed["sf__Error"].map(code_of_row), strict=True)),
        unprocessed=unprocessed,
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
