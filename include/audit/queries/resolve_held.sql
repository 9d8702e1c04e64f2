-- What became of held clears. Grain: one row per clear.
UPDATE opt_out_sync.held_clear AS held
SET resolution = :resolution, resolved_at = :now, resolved_run_id = :run_id
FROM resolved_held AS c
WHERE held.org_id = :org_id
  AND held.person_id = c.person_id
  AND held.record_id IS NOT DISTINCT FROM c.record_id
  AND held.field IS NOT DISTINCT FROM c.field
  AND held.resolution IS NULL
