"""What the client needs from whoever remembers its jobs."""

from typing import Protocol


class JobJournal(Protocol):
    """Writes down each Bulk job before it can have an effect, for whoever looks into a killed run.

    Nothing reads it back in this version: a step that starts again creates a job of its own.
    """

    def planned(self, obj: str, operation: str) -> int:
        """Record that a job is about to be created; returns the key of this job."""

    def created(self, key: int, job_id: str) -> None:
        """Record Salesforce's Id of the job, before anything is uploaded or waited for."""

    def finished(self, key: int, state: str, processed: int, failed: int) -> None:
        """Record the state in which Salesforce ended the job, before its results are read."""
