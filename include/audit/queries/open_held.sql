-- What waits for a person, with the code of the decision that was held. Grain: one row per clear.
SELECT held.person_id, held.record_id, held.object, held.field, held.evidence_id, decided.code,
       held.held_at
FROM opt_out_sync.held_clear AS held
LEFT JOIN LATERAL (
    SELECT a.code
    FROM opt_out_sync.merge_audit AS a
    WHERE a.person_id = held.person_id
      AND a.sync_run_id = held.held_run_id
      AND a.record_id IS NOT DISTINCT FROM held.record_id
      AND a.field IS NOT DISTINCT FROM held.field
    ORDER BY a.id DESC
    LIMIT 1
) AS decided ON true
WHERE held.org_id = :org_id AND held.resolution IS NULL
ORDER BY held.held_at, held.person_id, held.record_id, held.field
