"""How a running bulk job reports, fails and is stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from local.salesforce_emulator.bulk_jobs import Job, JobStore


class JobStoppedError(Exception):
    """The job was aborted, or the emulator stops and runs it again at the next start."""


class JobFailedError(Exception):
    """The whole job failed; the text is the job's ``errorMessage``."""


class Progress:
    """What a running job reports to, and what tells it to stop."""

    def __init__(self, store: JobStore, job: Job, stopping: threading.Event) -> None:
        self._store = store
        self._job = job
        self._stopping = stopping
        self._started = time.monotonic()

    def report(self, processed: int, failed: int = 0) -> None:
        """Note how far the job is.

        Raises:
            JobStoppedError: it must not go on.
        """
        job = self._store.update(
            self._job, processed=processed, failed=failed, milliseconds=self.milliseconds()
        )
        if self._stopping.is_set() or job.state == "Aborted":
            raise JobStoppedError

    def milliseconds(self) -> int:
        """Return how long the job has run."""
        return round((time.monotonic() - self._started) * 1_000)
