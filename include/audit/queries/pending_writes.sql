-- Planned writes of one run to one side that nothing is known about yet.
-- Grain: one row per person, record and field.
SELECT d.person_id, d.record_id, d.object, d.field, d.account_id,
       CASE WHEN :side = 'store' THEN d.target_store ELSE d.target_salesforce END AS target,
       d.cause, d.evidence_id, d.salesforce_modified_at
FROM opt_out_sync.merge_audit AS d
WHERE d.sync_run_id = :run_id
  AND CASE WHEN :side = 'store' THEN d.target_store ELSE d.target_salesforce END IS NOT NULL
  AND (CAST(:value AS boolean) IS NULL
       OR CASE WHEN :side = 'store' THEN d.target_store ELSE d.target_salesforce END
          = CAST(:value AS boolean))
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.write_attempt AS w
      WHERE w.sync_run_id = d.sync_run_id
        AND w.person_id = d.person_id
        AND w.record_id IS NOT DISTINCT FROM d.record_id
        AND w.field IS NOT DISTINCT FROM d.field
        AND w.side = :side
  )
ORDER BY d.record_id, d.person_id, d.field
