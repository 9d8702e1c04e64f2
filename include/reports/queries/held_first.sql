-- The clears that have waited longest, with the code of the decision that was held. Grain: one row
-- per clear.
SELECT held.id, held.person_id, held.object, held.record_id, held.field, held.evidence_id,
       decided.code, held.held_at, held.held_run_id
FROM (
    SELECT * FROM opt_out_sync.held_clear
    WHERE resolution IS NULL
    ORDER BY held_at, id
    LIMIT :most
) AS held
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
ORDER BY held.held_at, held.id
