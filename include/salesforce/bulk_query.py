"""Reads every record of an object by one Bulk API 2.0 job, into one Parquet file.

A page goes from the wire to disk, is parsed with declared types, checked and appended; memory
holds one page at a time. Nothing is believed that does not add up: a record missing from an
extract would look like a deleted one.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import parquet

from include.salesforce.bulk_jobs import (
    ACTIVE,
    COMPLETE,
    Job,
    Polling,
    abort,
    await_end,
    create_job,
    download,
    error_of_job,
    find_job,
)
from include.salesforce.csv_results import read_csv
from include.salesforce.errors import (
    IncompleteJobError,
    JobFailedError,
    JobInterruptedError,
)
from include.salesforce.jobs import JobJournal
from include.salesforce.records import (
    Selection,
    column_types,
    records_schema,
    select_all,
    to_records,
)
from include.salesforce.seen_ids import SeenIds
from include.salesforce.session import SalesforceSession
from include.whole_files import whole_file

if TYPE_CHECKING:
    from upath import UPath

log = logging.getLogger(__name__)

_OPERATION: Final = "queryAll"  # deleted and merged records as well
# a dictionary of values that are all different would double the cost of writing
_REPETITIVE: Final = ["object", "master_record_id", "converted_contact_id", "last_modified_by"]


@dataclass(frozen=True, slots=True)
class _Page:
    records: pa.Table
    next_locator: str | None


@dataclass(frozen=True, slots=True)
class BulkQuery:
    """One extract: what to read and how."""

    session: SalesforceSession
    selection: Selection
    polling: Polling
    page_rows: int

    def extract(self, destination: "UPath", jobs: JobJournal) -> int:
        """Write every record to `destination` and return how many; see `client`."""
        key, job = self._attached(jobs) or self._created(jobs)
        try:
            rows = self._kept(self._completed(key, job, jobs), destination, jobs)
        except (IncompleteJobError, JobFailedError, JobInterruptedError):
            jobs.settled(key)  # it will not get better: whoever tries again asks again
            raise
        jobs.settled(key)
        log.info("Extracted %d records object=%s job=%s", rows, self._object, job.job_id)
        return rows

    def _kept(self, job: Job, destination: "UPath", jobs: JobJournal) -> int:
        schema = records_schema(self.selection.fields)
        with tempfile.TemporaryDirectory() as folder, _parquet_file(destination, schema) as file:
            return self._append_pages(job, Path(folder) / "page.csv", file, jobs)

    @property
    def _object(self) -> str:
        return self.selection.obj.value

    def _attached(self, jobs: JobJournal) -> tuple[int, Job] | None:
        """Find the job that an earlier start of this step left: Salesforce keeps its result."""
        for left in jobs.left(self._object, _OPERATION):
            job = find_job(self.session, "query", left.job_id) if left.job_id else None
            if job is not None and job.state in {*ACTIVE, COMPLETE}:
                log.info("Going on with query job %s", job.job_id)
                return left.key, job
            jobs.settled(left.key)
        return None

    def _created(self, jobs: JobJournal) -> tuple[int, Job]:
        document = {"operation": _OPERATION, "query": select_all(self.selection)}
        key = jobs.planned(self._object, _OPERATION)
        job = create_job(self.session, "query", document)
        jobs.created(key, job.job_id)
        return key, job

    def _completed(self, key: int, job: Job, jobs: JobJournal) -> Job:
        ended = await_end(self.session, job, self.polling, waiting=jobs.waiting)
        is_late = not ended.has_ended
        if is_late:
            ended = abort(self.session, ended, self.polling)
        jobs.finished(key, ended.state, ended.processed, ended.failed)
        if ended.state == COMPLETE:
            return ended
        if is_late:
            raise IncompleteJobError(f"query job {job.job_id} did not end in time")
        raise error_of_job(ended)

    def _append_pages(
        self, job: Job, buffer: Path, file: parquet.ParquetWriter, jobs: JobJournal
    ) -> int:
        seen, rows = SeenIds(), 0
        for page in self._pages(job, buffer):
            file.write_table(page)
            seen.add(page["record_id"])
            rows += page.num_rows
            jobs.waiting()
        if rows != job.processed:
            raise IncompleteJobError(f"{rows} records came, {job.processed} were announced")
        if seen.has_duplicates:
            # a page delivered twice has the right count and hides the page that is missing
            raise IncompleteJobError("a result holds a record twice")
        return rows

    def _pages(self, job: Job, buffer: Path) -> Iterator[pa.Table]:
        seen: set[str | None] = set()
        locator: str | None = None
        while locator not in seen:
            seen.add(locator)
            page = self.session.repeat(partial(self._page, job, buffer, locator))
            yield page.records
            locator = page.next_locator
            if locator is None:
                return
        raise IncompleteJobError("the pages of a result go in a circle")

    def _page(self, job: Job, buffer: Path, locator: str | None) -> _Page:
        params: dict[str, str | int] = {"maxRecords": self.page_rows}
        if locator is not None:
            params["locator"] = locator
        headers = download(self.session, f"{job.path}/results", buffer, params)
        records = to_records(read_csv(buffer, column_types(self.selection)), self.selection)
        announced, following = headers.get("Sforce-NumberOfRecords"), headers.get("Sforce-Locator")
        if announced is None or following is None:
            raise IncompleteJobError("a page of a result came without count or locator")
        if records.num_rows != int(announced):
            raise IncompleteJobError(f"a page holds {records.num_rows} of {announced} records")
        # the last page says "null" in letters
        return _Page(records, None if following == "null" else following)


@contextmanager
def _parquet_file(destination: "UPath", schema: pa.Schema) -> Iterator[parquet.ParquetWriter]:
    """Write a file that appears under its name only when it is whole."""
    with (
        whole_file(destination) as file,
        parquet.ParquetWriter(
            file, schema, compression="zstd", use_dictionary=_REPETITIVE
        ) as writer,
    ):
        yield writer
