-- Evidence covers what Salesforce showed when it was accepted: not what was written there since.
UPDATE opt_out_sync.link AS l
SET evidence_id = NULL
WHERE l.org_id = :org_id
  AND l.evidence_id IS NOT NULL
  AND (CAST(:person_ids AS bigint[]) IS NULL OR l.person_id = ANY (CAST(:person_ids AS bigint[])))
  AND EXISTS (
      SELECT FROM opt_out_sync.write_attempt AS w
      WHERE w.sync_run_id = :run_id
        AND w.person_id = l.person_id
        AND w.record_id = l.record_id
        AND w.field = l.field
        AND w.side = 'salesforce'
        AND w.outcome = 'confirmed'
  )
