-- How many planned writes of one run nothing is known about.
SELECT count(*)
FROM opt_out_sync.merge_audit AS d
CROSS JOIN LATERAL (
    VALUES ('store', d.target_store), ('salesforce', d.target_salesforce)
) AS planned (side, target)
WHERE d.sync_run_id = :run_id
  AND d.record_id IS NOT NULL
  AND planned.target IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM opt_out_sync.write_attempt AS w
      WHERE w.sync_run_id = d.sync_run_id
        AND w.person_id = d.person_id
        AND w.record_id = d.record_id
        AND w.field = d.field
        AND w.side = planned.side
  )
