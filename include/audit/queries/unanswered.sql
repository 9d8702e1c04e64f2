-- Writes to Salesforce that pushes planned for some people and that have no outcome: the push was
-- killed, or lost its database. Grain: one row per run, person, record and field.
SELECT DISTINCT d.sync_run_id, d.person_id, d.record_id, d.object, d.field,
       d.target_salesforce AS target
FROM opt_out_sync.merge_audit AS d
JOIN opt_out_sync.sync_run AS r ON r.id = d.sync_run_id
WHERE d.person_id = ANY (CAST(:people AS bigint[]))
  AND d.decided_at > :since
  AND d.target_salesforce IS NOT NULL
  AND r.kind = 'push'
  AND (r.state <> 'open' OR r.id = :run_id)
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.write_attempt AS w
      WHERE w.person_id = d.person_id
        AND w.sync_run_id = d.sync_run_id
        AND w.record_id = d.record_id
        AND w.field = d.field
        AND w.side = 'salesforce'
        AND w.attempted_at >= d.decided_at
  )
