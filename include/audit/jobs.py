"""The journal of Salesforce jobs: each is written down before anything is uploaded.

A step that starts again reads back what its earlier start left. An entry is settled once the
results of its job are recorded, or were not worth believing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

from include.audit.runs import Run, guard, lease_of
from include.salesforce.jobs import LeftJob
from include.store.database import transaction

QUERY_IS_FRESH: Final = timedelta(hours=2)
"""How old the answer of a query may be that a step goes on with.

A retry comes within minutes. Whoever clears a task a day later wants to know what is true now.
"""


class DatabaseJobJournal:
    """Writes jobs of one step to `salesforce_job`, each entry in a transaction of its own.

    Call it with no transaction of the same run open: it locks the run's row too.
    """

    def __init__(self, engine: Engine, run: Run, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._run = run
        self._clock = clock
        self._renewed_at = clock()

    @property
    def is_resumed(self) -> bool:
        """Whether the step was started before."""
        return self._run.fence > 1

    def planned(self, obj: str, operation: str, field: str = "", rows: int | None = None) -> int:
        """Announce a job; returns the key of its entry.

        Raises:
            StaleAttemptError: a newer attempt has replaced this one: do not create the job.
        """
        job = {"object": obj, "operation": operation, "field": field, "rows": rows}
        return self._write(PLANNED, job | self._step | {"fence": self._run.fence})

    def created(self, key: int, job_id: str) -> None:
        """Name a job that Salesforce has created, before its upload."""
        self._write(CREATED, {"key": key, "job_id": job_id})

    def waiting(self) -> None:
        """Renew the lease, a few times while it lasts: a job may take longer than that.

        Raises:
            StaleAttemptError: a newer attempt waits for the job now.
        """
        now = self._clock()
        if now - self._renewed_at < lease_of(self._run.kind) / 6:
            return
        with transaction(self._engine) as conn:
            guard(conn, self._run, now=now)
        self._renewed_at = now

    def finished(self, key: int, state: str, processed: int, failed: int) -> None:
        """Note how a job ended."""
        values = {"key": key, "state": state, "processed": processed, "failed": failed}
        self._write(FINISHED, values)

    def settled(self, key: int) -> None:
        """Note that nobody needs the job any more."""
        self._write(SETTLED, {"key": key})

    def left(self, obj: str, operation: str, field: str = "") -> list[LeftJob]:
        """Return the jobs of this step that are not settled, oldest first."""
        job = {"object": obj, "operation": operation, "field": field}
        now = self._clock()
        with transaction(self._engine) as conn:
            guard(conn, self._run, now=now)
            values = job | self._step | {"now": now, "oldest": now - QUERY_IS_FRESH}
            conn.execute(text(SETTLE_OLD_QUERIES), values)
            rows = conn.execute(text(LEFT), values).all()
        return [LeftJob(row.id, row.job_id, row.rows) for row in rows]

    def abandoned(self, obj: str, operation: str) -> list[LeftJob]:
        """Return the jobs that are not settled of runs that have ended, oldest first."""
        with transaction(self._engine) as conn:
            rows = conn.execute(text(ABANDONED), {"object": obj, "operation": operation}).all()
        return [LeftJob(row.id, row.job_id, row.rows) for row in rows]

    def known(self, job_ids: list[str]) -> set[str]:
        """Return which of these jobs are in the journal, of whatever run."""
        with transaction(self._engine) as conn:
            return {*conn.execute(text(KNOWN), {"job_ids": job_ids}).scalars()}

    @property
    def _step(self) -> dict[str, object]:
        return {"run_id": self._run.id, "step": self._run.step}

    def _write(self, statement: str, values: Mapping[str, object]) -> int:
        now = self._clock()
        with transaction(self._engine) as conn:
            guard(conn, self._run, now=now)
            key: int = conn.execute(text(statement), {"now": now, **values}).scalar_one()
        self._renewed_at = now
        return key


PLANNED = """
INSERT INTO opt_out_sync.salesforce_job
    (sync_run_id, step, fence, object, operation, field, rows, state, planned_at)
VALUES (:run_id, :step, :fence, :object, :operation, :field, :rows, 'planned', :now)
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
SETTLED = """
UPDATE opt_out_sync.salesforce_job SET settled_at = coalesce(settled_at, :now)
WHERE id = :key RETURNING id
"""
OF_THIS_STEP = """
sync_run_id = :run_id AND step = :step AND object = :object AND operation = :operation
AND field = :field AND settled_at IS NULL
"""
SETTLE_OLD_QUERIES = f"""
UPDATE opt_out_sync.salesforce_job SET settled_at = :now
WHERE {OF_THIS_STEP} AND operation IN ('query', 'queryAll') AND planned_at < :oldest
"""  # noqa: S608 - constants
LEFT = f"""
SELECT id, job_id, rows FROM opt_out_sync.salesforce_job WHERE {OF_THIS_STEP} ORDER BY id
"""  # noqa: S608
ABANDONED = """
SELECT j.id, j.job_id, j.rows
FROM opt_out_sync.salesforce_job AS j
JOIN opt_out_sync.sync_run AS r ON r.id = j.sync_run_id
WHERE j.settled_at IS NULL AND j.object = :object AND j.operation = :operation
  AND r.state <> 'open'
ORDER BY j.id
"""
KNOWN = "SELECT job_id FROM opt_out_sync.salesforce_job WHERE job_id = ANY (:job_ids)"
