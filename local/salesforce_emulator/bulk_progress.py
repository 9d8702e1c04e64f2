"""How a running bulk job reports, takes its time, fails and is stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from local.salesforce_emulator.bulk_jobs import Job, JobStore
    from local.salesforce_emulator.faults import Faults
    from local.salesforce_emulator.latency import Latency

_GLANCE_SECONDS = 0.05


class JobStoppedError(Exception):
    """The job was aborted, or the emulator stops and runs it again at the next start."""


class JobFailedError(Exception):
    """The whole job failed; the text is the job's ``errorMessage``."""


class Progress:
    """What a running job reports to, and what tells it to stop or to wait."""

    def __init__(
        self, store: JobStore, job: Job, stopping: threading.Event, latency: Latency
    ) -> None:
        self._store = store
        self._job = job
        self._stopping = stopping
        self._latency = latency
        self._started = time.monotonic()
        self._reported = 0

    def report(self, processed: int, failed: int = 0) -> None:
        """Note how far the job is, after the time a real org would have taken.

        Raises:
            JobStoppedError: it must not go on.
        """
        if self._latency.rows_per_second:
            self._pause((processed - self._reported) / self._latency.rows_per_second)
        self._reported = processed
        job = self._store.update(
            self._job, processed=processed, failed=failed, milliseconds=self.milliseconds()
        )
        if self._stopping.is_set() or job.state == "Aborted":
            raise JobStoppedError

    def wait_in_queue(self) -> None:
        """Wait as long as a real org takes to start a job."""
        self._pause(self._latency.job_seconds)

    def stick(self, faults: Faults) -> None:
        """Wait until somebody withdraws the faults.

        Raises:
            JobStoppedError: the job was aborted or the emulator stops.
        """
        generation = faults.generation
        while faults.generation == generation:
            self._pause(_GLANCE_SECONDS)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _GLANCE_SECONDS)):
                raise JobStoppedError
            if self._store.get(self._job.kind, self._job.id).state == "Aborted":
                raise JobStoppedError

    def milliseconds(self) -> int:
        """Return how long the job has run."""
        return round((time.monotonic() - self._started) * 1_000)
