-- Judgements that differ from the newest one of their act. Grain: one row per act.
INSERT INTO opt_out_sync.resubscribe_judgement
    (judged_at, sync_run_id, act_id, person_id, verdict, code, reason, in_the_way, retry_after)
SELECT :now, :run_id, j.act_id, j.person_id, j.verdict, j.code, j.reason, j.in_the_way,
       j.retry_after
FROM new_judgement AS j
LEFT JOIN LATERAL (
    SELECT known.verdict, known.code, known.in_the_way, known.retry_after
    FROM opt_out_sync.resubscribe_judgement AS known
    WHERE known.act_id = j.act_id
    ORDER BY known.id DESC
    LIMIT 1
) AS newest ON true
WHERE (newest.verdict, newest.code, newest.in_the_way, newest.retry_after)
      IS DISTINCT FROM (j.verdict, j.code, j.in_the_way, j.retry_after)
ORDER BY j.act_id
