-- Seconds from the record of an unsubscribe until a push saw it in Salesforce. One row.
-- Only of what a push carried: what a night carried waited for the night, or for something else.
WITH pushed AS (
    SELECT extract(epoch FROM first.at - u.recorded_at)::float8 AS seconds
    FROM (
        SELECT person_id, recorded_at
        FROM engagement.unsubscribe
        WHERE kind = 'unsubscribe' AND origin <> 'Salesforce Sync'
          AND recorded_at >= CAST(:start AS timestamptz) AND recorded_at <= CAST(:end AS timestamptz)
        ORDER BY recorded_at DESC
        LIMIT :most
    ) AS u
    JOIN LATERAL (
        SELECT w.attempted_at AS at, w.sync_run_id
        FROM opt_out_sync.write_attempt AS w
        WHERE w.person_id = u.person_id AND w.attempted_at >= u.recorded_at
          AND w.side = 'salesforce' AND w.target AND w.outcome = 'confirmed'
        ORDER BY w.attempted_at
        LIMIT 1
    ) AS first ON true
    JOIN opt_out_sync.sync_run AS r ON r.id = first.sync_run_id AND r.kind = 'push'
)
SELECT count(*) AS people,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY seconds) AS p99,
       max(seconds) AS worst
FROM pushed
