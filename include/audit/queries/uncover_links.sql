-- Evidence covers what Salesforce showed when it was accepted: not what was written there since.
-- Few links are covered, so they are found first: a planner that has not counted the links of a new
-- org yet would read all of them for each write.
WITH covered AS MATERIALIZED (
    SELECT org_id, person_id, record_id, field
    FROM opt_out_sync.link
    WHERE org_id = :org_id
      AND evidence_id IS NOT NULL
      AND (CAST(:person_ids AS bigint[]) IS NULL
           OR person_id = ANY (CAST(:person_ids AS bigint[])))
)
UPDATE opt_out_sync.link AS l
SET evidence_id = NULL
FROM covered AS c
WHERE l.org_id = c.org_id
  AND l.person_id = c.person_id
  AND l.record_id = c.record_id
  AND l.field = c.field
  AND EXISTS (
      SELECT FROM opt_out_sync.write_attempt AS w
      WHERE w.sync_run_id = :run_id
        AND w.person_id = c.person_id
        AND w.record_id = c.record_id
        AND w.field = c.field
        AND w.side = 'salesforce'
        AND w.outcome = 'confirmed'
  )
