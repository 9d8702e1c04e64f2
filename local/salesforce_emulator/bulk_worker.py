"""Runs bulk jobs, a few at a time, away from the event loop."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING

from local.salesforce_emulator.bulk1 import runner
from local.salesforce_emulator.bulk_jobs import TERMINAL, Job, JobStore
from local.salesforce_emulator.bulk_progress import JobFailedError, JobStoppedError, Progress
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.ingest_run import INTERNAL_ERROR, run_ingest
from local.salesforce_emulator.query_run import run_query

if TYPE_CHECKING:
    from local.salesforce_emulator.bulk1.batches import Batch
    from local.salesforce_emulator.org import Org

    _Work = tuple[Job, Batch | None]

log = logging.getLogger(__name__)
_ACTIVE = ("UploadComplete", "InProgress")
_THREADS = 3


class Jobs:
    """The queue of jobs and the threads which empty it."""

    def __init__(self, org: Org) -> None:
        self.store = JobStore(org.database)
        self._org = org
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._released = threading.Event()
        self._released.set()
        self._threads = [
            threading.Thread(target=self._work, name=f"bulk jobs {number}", daemon=True)
            for number in range(_THREADS)
        ]
        self._unfinished = [
            job
            for job in [*self.store.list("ingest"), *self.store.list("query")]
            if job.state in _ACTIVE  # the process was killed while it ran
        ]

    def begin(self) -> None:
        """Start working, first on what an earlier process left unfinished."""
        for job in self._unfinished:
            self.start(job)
        for batch in self._org.batches.unfinished():
            self.start_batch(self.store.get("bulk1", batch.job), batch)
        for thread in self._threads:
            thread.start()

    def start(self, job: Job) -> None:
        """Queue a job whose data is complete."""
        self._queue.put((job, None))

    def start_batch(self, job: Job, batch: Batch) -> None:
        """Queue a batch of a job of Bulk API 1.0."""
        self._queue.put((job, batch))

    def hold(self, held: bool) -> None:
        """Keep queued jobs waiting, or let them go: for tests of clients which poll."""
        if held:
            self._released.clear()
        else:
            self._released.set()

    def close(self) -> None:
        """Stop the running jobs after their current batches."""
        self._stopping.set()
        self._released.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            self._released.wait()
            if self._stopping.is_set():
                return
            job, batch = work
            try:
                if batch is None:
                    self._run(job)
                else:
                    self._run_batch(job, batch)
            except SalesforceError:
                log.warning("job %s vanished: the org was restored meanwhile", job.id)

    def _run_batch(self, job: Job, batch: Batch) -> None:
        if self._org.batches.get(job, batch.id).state not in ("Queued", "InProgress"):
            return
        try:
            runner.run(self._org, job, batch)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            log.exception("batch %s failed inside the emulator", batch.id)
            message = f"InternalServerError : {error}"
            self._org.batches.update(batch, state="Failed", message=message)

    def _run(self, queued: Job) -> None:
        job = self.store.update(
            queued, only_from=_ACTIVE, state="InProgress", processed=0, failed=0
        )
        if job.state in TERMINAL:
            return
        progress = Progress(self.store, job, self._stopping, self._org.options.latency)
        try:
            self._wait(job, progress)
            self._process(job, progress)
        except JobStoppedError:
            return
        except JobFailedError as failure:
            self._end(job, progress, state="Failed", error=str(failure))
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            log.exception("job %s failed inside the emulator", job.id)
            self._end(job, progress, state="Failed", error=f"InternalServerError : {error}")
        else:
            self._end(job, progress, state="JobComplete")

    def _wait(self, job: Job, progress: Progress) -> None:
        progress.wait_in_queue()
        if self._org.faults.for_job("job_stuck", job.object, job.operation):
            progress.stick(self._org.faults)

    def _process(self, job: Job, progress: Progress) -> None:
        if job.kind == "query":
            self._refuse_query(job)
            schema = self._org.schema_of(job.created_by)
            run_query(job, self.store, self._org.database, schema, progress)
        else:
            run_ingest(job, self._org, progress)

    def _refuse_query(self, job: Job) -> None:
        if fault := self._org.faults.for_job("job_failed", job.object, job.operation):
            raise JobFailedError(fault.text or INTERNAL_ERROR)

    def _end(self, job: Job, progress: Progress, **values: object) -> None:
        milliseconds = progress.milliseconds()
        self.store.update(job, only_from=_ACTIVE, milliseconds=milliseconds, **values)
