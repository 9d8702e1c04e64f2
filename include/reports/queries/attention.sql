-- What is counted on the first page. Grain: one row per kind; `since` is the oldest of it.
WITH failure AS MATERIALIZED (
    SELECT is_past_10_business_days AS is_overdue, first_failed_at, opted_out_at
    FROM opt_out_sync.v_open_failures
)
SELECT 'failures' AS kind, count(*) AS count, min(first_failed_at) AS since
FROM failure WHERE NOT is_overdue
UNION ALL
SELECT 'overdue', count(*), min(opted_out_at) FROM failure WHERE is_overdue
UNION ALL
SELECT 'unconfirmed', count(*), min(org.since)
FROM (
    SELECT r.org_id, min(r.started_at) AS since
    FROM opt_out_sync.sync_run AS r
    WHERE r.org_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM opt_out_sync.org_confirmation AS c WHERE c.org_id = r.org_id
      )
    GROUP BY r.org_id
) AS org
UNION ALL
SELECT 'unreachable', count(*), min(since) FROM opt_out_sync.unlinked_person
UNION ALL
SELECT 'missed', count(*), min(m.night)::timestamp AT TIME ZONE 'America/Los_Angeles'
FROM opt_out_sync.v_missed_night AS m
WHERE m.covered_by IS NULL
  AND m.night > CAST(:now AS timestamptz)::date - 30
