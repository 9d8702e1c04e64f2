-- What one run decided and what became of it. Grain: one row per code, side, target and outcome.
-- A decision to write both sides counts on both; one that writes nothing has no side.
WITH planned AS (
    SELECT d.code, d.person_id, d.record_id, d.field, write.side, write.target
    FROM opt_out_sync.merge_audit AS d
    LEFT JOIN LATERAL (
        SELECT side, target
        FROM (VALUES ('store', d.target_store), ('salesforce', d.target_salesforce))
                 AS both_sides (side, target)
        WHERE target IS NOT NULL
    ) AS write ON true
    WHERE d.sync_run_id = :run_id
), newest AS (
    SELECT DISTINCT ON (person_id, record_id, field, side)
           person_id, record_id, field, side, outcome
    FROM opt_out_sync.write_attempt
    WHERE sync_run_id = :run_id
    ORDER BY person_id, record_id, field, side, id DESC
)
SELECT planned.code, planned.side, planned.target, newest.outcome, count(*) AS links
FROM planned
LEFT JOIN newest
    ON newest.person_id = planned.person_id AND newest.side = planned.side
   AND newest.record_id IS NOT DISTINCT FROM planned.record_id
   AND newest.field IS NOT DISTINCT FROM planned.field
GROUP BY planned.code, planned.side, planned.target, newest.outcome
ORDER BY planned.code, planned.side, planned.target, newest.outcome
