"""What is known of runs without taking part in them: reads only, no lease, no fence."""

from typing import Any

from sqlalchemy import Engine, text

from include.audit import run_sql
from include.store.database import transaction


def step_counts(engine: Engine, run_id: int, step: str) -> dict[str, Any] | None:
    """Return the counts of a step that finished, None while it has not."""
    with transaction(engine) as conn:
        values = {"run_id": run_id, "step": step}
        counts: dict[str, Any] | None = conn.execute(text(run_sql.FINISHED), values).scalar()
    return counts


def last_access(engine: Engine, org_id: str) -> dict[str, Any] | None:
    """Return the counts of the newest preflight of an org that wrote down access and its time."""
    with transaction(engine) as conn:
        counts: dict[str, Any] | None = conn.execute(text(LAST_ACCESS), {"org_id": org_id}).scalar()
    return counts


def unfinished_steps(engine: Engine, run_id: int) -> list[str]:
    """Return the steps that started and did not finish, oldest first."""
    with transaction(engine) as conn:
        return list(conn.execute(text(UNFINISHED), {"run_id": run_id}).scalars())


def last_opted_out(engine: Engine, run_id: int) -> dict[str, tuple[int, int]]:
    """Return what the last night that closed before a run saw in Salesforce.

    Returns:
        By object, how many records said opted out, less those that runs have cleared there since,
        and how many there were; empty before the first closed night.
    """
    with transaction(engine) as conn:
        row = conn.execute(text(LAST_OPTED_OUT), {"run_id": run_id}).one_or_none()
    found, cleared = (row.opted_out or {}, row.cleared or {}) if row else ({}, {})
    return {
        obj: (int(opted_out) - int(cleared.get(obj, 0)), int(records))
        for obj, (opted_out, records) in found.items()
    }


LAST_ACCESS = """
SELECT s.counts
FROM opt_out_sync.sync_step AS s
JOIN opt_out_sync.sync_run AS r ON r.id = s.sync_run_id
WHERE s.step = 'preflight' AND s.counts ? 'access_read_at' AND r.org_id = :org_id
ORDER BY s.sync_run_id DESC
LIMIT 1
"""
UNFINISHED = """
SELECT step FROM opt_out_sync.sync_step
WHERE sync_run_id = :run_id AND finished_at IS NULL ORDER BY started_at, step
"""
LAST_OPTED_OUT = """
WITH last_night AS (
    SELECT r.id, r.org_id, r.started_at, s.counts -> 'opted_out' AS opted_out
    FROM opt_out_sync.sync_run AS r
    JOIN opt_out_sync.sync_step AS s ON s.sync_run_id = r.id AND s.step = 'merge'
    WHERE r.kind = 'night' AND r.state = 'closed' AND r.id < :run_id
    ORDER BY r.id DESC
    LIMIT 1
)
SELECT last_night.opted_out,
       (SELECT jsonb_object_agg(of_object.object, of_object.records)
        FROM (SELECT w.object, count(DISTINCT w.record_id) AS records
              FROM opt_out_sync.write_attempt AS w
              WHERE w.org_id = last_night.org_id
                AND NOT w.target
                AND w.attempted_at >= last_night.started_at
                AND w.sync_run_id >= last_night.id
                AND w.sync_run_id < :run_id
                AND w.side = 'salesforce'
                AND w.outcome = 'confirmed'
              GROUP BY w.object) AS of_object) AS cleared
FROM last_night
"""
