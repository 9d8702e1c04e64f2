"""The statements of `include.audit.runs`."""

COLUMNS = (
    "id",
    "kind",
    "state",
    "reason",
    "org_id",
    "night",
    "interval_start",
    "interval_end",
    "airflow_run_id",
    "attempt",
    "plan_only",
    "started_at",
    "extraction_started_at",
    "counts",
)
ONE_AT_A_TIME = "kind IN ('night', 'replay', 'held_clears', 'correction')"
SELECT = f"""
SELECT {", ".join(COLUMNS)}, settings_version FROM opt_out_sync.sync_run
WHERE id = :run_id
"""  # noqa: S608 - constants
SELECT_FOR_UPDATE = f"{SELECT} FOR UPDATE"
ENSURE_PARTITIONS = "SELECT opt_out_sync.ensure_audit_partitions(:audited, :now)"
INSERT = """
INSERT INTO opt_out_sync.sync_run
    (kind, state, reason, night, interval_start, interval_end, airflow_run_id, attempt,
     settings_version, plan_only, started_at, lease_expires_at, closed_at)
SELECT :kind, :state, :reason, :night, :interval_start, :interval_end, :airflow_run_id,
       1 + coalesce(max(attempt), 0), :version, :plan_only, :now, :lease, :closed_at
FROM opt_out_sync.sync_run
WHERE kind = :kind AND airflow_run_id = :airflow_run_id
RETURNING id
"""
SUPERSEDE = """
UPDATE opt_out_sync.sync_run
SET state = 'superseded', closed_at = coalesce(closed_at, :now),
    reason = coalesce(reason, 'a newer attempt of the same Airflow run started')
WHERE airflow_run_id = :airflow_run_id
  AND (kind = :kind AND state IN ('open', 'failed')
       -- Airflow started this night again, as a backfill: whoever held the lease is gone
       OR kind = 'night' AND :kind = 'replay' AND state = 'open')
"""
OPEN_RUN = f"""
SELECT id, airflow_run_id, lease_expires_at FROM opt_out_sync.sync_run
WHERE state = 'open' AND {ONE_AT_A_TIME} FOR UPDATE
"""  # noqa: S608
CLOSED_SINCE = f"""
SELECT max(id) FROM opt_out_sync.sync_run
WHERE id > :run_id AND state = 'closed' AND {ONE_AT_A_TIME}
"""  # noqa: S608
OTHER_ORG = """
SELECT max(r.org_id) FROM opt_out_sync.sync_run AS r
WHERE r.org_id <> :org_id
  AND (r.state = 'closed'
       OR EXISTS (SELECT FROM opt_out_sync.write_attempt AS w WHERE w.sync_run_id = r.id))
"""
BIND_ORG = "UPDATE opt_out_sync.sync_run SET org_id = :org_id WHERE id = :run_id"
REOPEN = """
UPDATE opt_out_sync.sync_run
SET state = 'open', reason = NULL, closed_at = NULL, lease_expires_at = :lease
WHERE id = :run_id
"""
FAIL = """
UPDATE opt_out_sync.sync_run SET state = 'failed', reason = :reason, closed_at = :now
WHERE id = :run_id AND state = 'open'
"""
NOTE = "UPDATE opt_out_sync.sync_run SET reason = :reason WHERE id = :run_id"
LOCK_AND_RENEW = """
UPDATE opt_out_sync.sync_run SET lease_expires_at = greatest(lease_expires_at, :lease)
WHERE id = :run_id AND state = 'open'
RETURNING id
"""
FENCE = "SELECT fence FROM opt_out_sync.sync_step WHERE sync_run_id = :run_id AND step = :step"
FINISHED = f"{FENCE} AND finished_at IS NOT NULL".replace("SELECT fence", "SELECT counts")
START_STEP = """
INSERT INTO opt_out_sync.sync_step AS s (sync_run_id, step, fence, started_at)
VALUES (:run_id, :step, 1, :now)
ON CONFLICT (sync_run_id, step) DO UPDATE SET fence = s.fence + 1, started_at = excluded.started_at
RETURNING fence
"""
FINISH = """
UPDATE opt_out_sync.sync_step SET finished_at = :now, counts = CAST(:counts AS jsonb)
WHERE sync_run_id = :run_id AND step = :step
"""
MARK_EXTRACTION = """
UPDATE opt_out_sync.sync_run SET extraction_started_at = coalesce(extraction_started_at, :now)
WHERE id = :run_id
"""
CLOSE = """
UPDATE opt_out_sync.sync_run
SET state = :state, closed_at = :now, counts = CAST(:counts AS jsonb)
WHERE id = :run_id
"""
