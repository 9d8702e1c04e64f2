-- Clears that wait from now on, unless they wait already. Grain: one row per person and field.
INSERT INTO opt_out_sync.held_clear
    (org_id, person_id, record_id, object, field, evidence_id, held_run_id, held_at)
SELECT DISTINCT :org_id, c.person_id, c.record_id, c.object, c.field, c.evidence_id,
       CAST(:run_id AS bigint), CAST(:now AS timestamptz)
FROM new_held AS c
WHERE NOT EXISTS (
    SELECT FROM opt_out_sync.held_clear AS known
    WHERE known.org_id = :org_id
      AND known.person_id = c.person_id
      AND known.record_id IS NOT DISTINCT FROM c.record_id
      AND known.field IS NOT DISTINCT FROM c.field
      AND known.resolution IS NULL
)
ON CONFLICT DO NOTHING  -- a push and a night may meet here, and neither sees the other
