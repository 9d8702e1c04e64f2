-- Resubscribes whose newest judgement is final and against them. Grain: one row per act.
SELECT newest.act_id, newest.verdict
FROM (
    SELECT DISTINCT ON (act_id) act_id, verdict
    FROM opt_out_sync.resubscribe_judgement
    ORDER BY act_id, id DESC
) AS newest
WHERE newest.verdict = 'refused'
