"""What is known of runs without taking part in them: reads only, no lease, no fence."""

from typing import Any

from sqlalchemy import Engine, text

from include.audit import run_sql, runs
from include.audit.runs import Run
from include.store.database import transaction


def latest(engine: Engine, airflow_run_id: str) -> Run | None:
    """Return the newest attempt of an Airflow run, in whatever state; None if it opened none."""
    with transaction(engine) as conn:
        run_id = conn.execute(text(LATEST), {"airflow_run_id": airflow_run_id}).scalar()
    return None if run_id is None else runs.find(engine, run_id)


def step_counts(engine: Engine, run_id: int, step: str) -> dict[str, Any] | None:
    """Return the counts of a step that finished, None while it has not."""
    with transaction(engine) as conn:
        values = {"run_id": run_id, "step": step}
        counts: dict[str, Any] | None = conn.execute(text(run_sql.FINISHED), values).scalar()
    return counts


def unfinished_steps(engine: Engine, run_id: int) -> list[str]:
    """Return the steps that started and did not finish, oldest first."""
    with transaction(engine) as conn:
        return list(conn.execute(text(UNFINISHED), {"run_id": run_id}).scalars())


LATEST = """
SELECT id FROM opt_out_sync.sync_run
WHERE kind = 'night' AND airflow_run_id = :airflow_run_id ORDER BY attempt DESC LIMIT 1
"""
UNFINISHED = """
SELECT step FROM opt_out_sync.sync_step
WHERE sync_run_id = :run_id AND finished_at IS NULL ORDER BY started_at, step
"""
