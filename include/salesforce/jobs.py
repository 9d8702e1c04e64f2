"""What the client needs from whoever remembers its jobs."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LeftJob:
    """A job that an earlier start of the same step left behind.

    Attributes:
        key: of its entry.
        job_id: Salesforce's Id; None if nobody knows whether it was created.
        rows: how many rows it was to write; None for a query.
    """

    key: int
    job_id: str | None
    rows: int | None


class JobJournal(Protocol):
    """Remembers each Bulk job from before its creation until its results are no longer needed.

    So a step that was killed finds its job again instead of starting another one.
    """

    @property
    def is_resumed(self) -> bool:
        """Whether the step was started before: what is to be written may be written already."""

    def planned(self, obj: str, operation: str, field: str = "", rows: int | None = None) -> int:
        """Record that a job is about to be created; returns the key of this job."""

    def created(self, key: int, job_id: str) -> None:
        """Record Salesforce's Id of the job, before anything is uploaded or waited for."""

    def waiting(self) -> None:
        """Say, while a job is waited for or read, that somebody still does."""

    def finished(self, key: int, state: str, processed: int, failed: int) -> None:
        """Record the state in which Salesforce ended the job, before its results are read."""

    def settled(self, key: int) -> None:
        """Record that nobody needs the job any more: its results are kept, or not believed."""

    def left(self, obj: str, operation: str, field: str = "") -> list[LeftJob]:
        """Return the jobs of this step that are not settled, oldest first.

        A query that is too old to say what is true now is settled instead.
        """

    def abandoned(self, obj: str, operation: str) -> list[LeftJob]:
        """Return the jobs that are not settled of runs that have ended, oldest first."""

    def known(self, job_ids: list[str]) -> set[str]:
        """Return which of these jobs are in the journal, of whatever run."""
