-- In how many seconds there is something to push: null if nothing waits. A claim of a run that died
-- is due when its lease ends. Nothing is due while the sync is paused, and nothing before a pause of
-- the push ends.
SELECT CASE WHEN work.due_at IS NULL OR chosen.is_paused THEN NULL
            WHEN greatest(work.due_at, pause.until) = '-infinity' THEN 0
            ELSE extract(epoch FROM greatest(work.due_at, pause.until) - clock_timestamp())
       END AS due_in
FROM (
    SELECT least(
               (SELECT min(next_attempt_at) FROM opt_out_sync.push_outbox
                WHERE state IN ('waiting', 'parked')),
               (SELECT CAST('-infinity' AS timestamptz) FROM opt_out_sync.push_signal LIMIT 1),
               (SELECT min(CASE WHEN r.state = 'open' THEN r.lease_expires_at ELSE '-infinity' END)
                FROM opt_out_sync.sync_run AS r
                WHERE r.id IN (SELECT claimed_by FROM opt_out_sync.push_outbox
                               WHERE state = 'claimed'))
           ) AS due_at
) AS work
CROSS JOIN (
    SELECT coalesce((document ->> 'paused')::boolean, false) AS is_paused
    FROM opt_out_sync.settings_version
    ORDER BY version DESC
    LIMIT 1
) AS chosen
LEFT JOIN opt_out_sync.push_pause AS pause ON true
