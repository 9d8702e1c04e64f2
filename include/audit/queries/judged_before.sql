-- Resubscribes that an earlier run refused, or judged good and held; of everybody's or of some.
-- Grain: one row per act.
WITH judged AS NOT MATERIALIZED (
    SELECT j.id, j.act_id, j.verdict
    FROM opt_out_sync.resubscribe_judgement AS j
    WHERE :everybodys OR j.act_id = ANY (CAST(:acts AS bigint[]))
)
SELECT newest.act_id, newest.verdict = 'refused' AS is_refused, held.act_id IS NOT NULL AS was_held
FROM (SELECT DISTINCT ON (act_id) act_id, verdict FROM judged ORDER BY act_id, id DESC) AS newest
LEFT JOIN (SELECT DISTINCT act_id FROM judged WHERE verdict = 'held') AS held USING (act_id)
WHERE newest.verdict = 'refused' OR held.act_id IS NOT NULL
