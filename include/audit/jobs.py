"""The journal of Salesforce jobs: each is written down before anything is uploaded.

For people who look into a killed run; this version reads nothing back from it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Engine, text

from include.audit.runs import Run, guard
from include.store.database import transaction


class DatabaseJobJournal:
    """Writes jobs of one step to `salesforce_job`, each entry in a transaction of its own.

    Call it with no transaction of the same run open: it locks the run's row too.
    """

    def __init__(self, engine: Engine, run: Run, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._run = run
        self._clock = clock

    def planned(self, obj: str, operation: str) -> int:
        """Announce a job; returns the key of its entry.

        Raises:
            StaleAttemptError: a newer attempt has replaced this one: do not create the job.
        """
        run = {"run_id": self._run.id, "step": self._run.step, "fence": self._run.fence}
        return self._write(PLANNED, {"object": obj, "operation": operation} | run)

    def created(self, key: int, job_id: str) -> None:
        """Name a job that Salesforce has created, before its upload."""
        self._write(CREATED, {"key": key, "job_id": job_id})

    def finished(self, key: int, state: str, processed: int, failed: int) -> None:
        """Note how a job ended."""
        values = {"key": key, "state": state, "processed": processed, "failed": failed}
        self._write(FINISHED, values)

    def _write(self, statement: str, values: Mapping[str, object]) -> int:
        now = self._clock()
        with transaction(self._engine) as conn:
            guard(conn, self._run, now=now)
            key: int = conn.execute(text(statement), {"now": now, **values}).scalar_one()
            return key


PLANNED = """
INSERT INTO opt_out_sync.salesforce_job
    (sync_run_id, step, fence, object, operation, state, planned_at)
VALUES (:run_id, :step, :fence, :object, :operation, 'planned', :now)
RETURNING id
"""
CREATED = """
UPDATE opt_out_sync.salesforce_job SET job_id = :job_id, state = 'created', created_at = :now
WHERE id = :key RETURNING id
"""
FINISHED = """
UPDATE opt_out_sync.salesforce_job
SET state = :state, processed = :processed, failed = :failed, finished_at = :now
WHERE id = :key RETURNING id
"""
