-- Clears that wait, by the code of the decision that was held. Grain: one row per code.
SELECT coalesce(decided.code, 'UNKNOWN') AS code, count(*) AS clears
FROM opt_out_sync.held_clear AS held
LEFT JOIN (
    SELECT DISTINCT ON (a.sync_run_id, a.person_id, a.record_id, a.field)
           a.sync_run_id, a.person_id, coalesce(a.record_id, '') AS record_id,
           coalesce(a.field, '') AS field, a.code
    FROM opt_out_sync.merge_audit AS a
    WHERE a.sync_run_id = ANY (ARRAY(
        SELECT DISTINCT h.held_run_id FROM opt_out_sync.held_clear AS h WHERE h.resolution IS NULL))
      AND (a.target_store = false OR a.target_salesforce = false)
    ORDER BY a.sync_run_id, a.person_id, a.record_id, a.field, a.id DESC
) AS decided
    ON decided.sync_run_id = held.held_run_id
   AND decided.person_id = held.person_id
   AND decided.record_id = coalesce(held.record_id, '')
   AND decided.field = coalesce(held.field, '')
WHERE held.resolution IS NULL
GROUP BY 1
ORDER BY 2 DESC, 1
