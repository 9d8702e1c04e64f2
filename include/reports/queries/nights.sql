-- The last nights of the calendar, missed ones included. Grain: one row per night.
-- A push belongs to the night that ends the day it was made on.
WITH known AS (
    SELECT min(night) AS first FROM opt_out_sync.sync_run WHERE kind = 'night'
), due AS (
    SELECT CAST(day AS date) AS night
    FROM known, generate_series(
        greatest(known.first, CAST(:last AS date) - CAST(:most AS integer) + 1)::timestamp,
        CAST(:last AS date)::timestamp,
        interval '1 day'
    ) AS day
    WHERE known.first IS NOT NULL
), pushed AS (
    SELECT ((r.started_at AT TIME ZONE :zone) + CAST(:ahead AS interval))::date AS night,
           sum((r.counts ->> 'pushed')::bigint) AS pushed
    FROM opt_out_sync.sync_run AS r
    WHERE r.kind = 'push'
      AND r.started_at >= (CAST(:last AS date) - CAST(:most AS integer) - 1)::timestamp AT TIME ZONE :zone
    GROUP BY 1
)
SELECT coalesce(n.night, due.night) AS night,
       n.state,
       n.reason,
       n.plan_only,
       n.sync_run_id,
       n.airflow_run_id,
       coalesce(n.attempts, 0) AS attempts,
       n.started_at,
       n.closed_at,
       n.settings_version,
       coalesce(n.decisions, 0) AS decisions,
       coalesce(n.opt_outs_to_store, 0) AS opt_outs_to_store,
       coalesce(n.opt_outs_to_salesforce, 0) AS opt_outs_to_salesforce,
       coalesce(n.clears_to_store, 0) AS clears_to_store,
       coalesce(n.clears_to_salesforce, 0) AS clears_to_salesforce,
       coalesce(n.applied, 0) AS applied,
       coalesce(n.failed, 0) AS failed,
       coalesce(n.held, 0) AS held,
       CAST(coalesce(pushed.pushed, 0) AS bigint) AS pushed,
       coalesce(n.codes, '{}') AS codes,
       later.night AS covered_by
FROM due
FULL JOIN (
    SELECT * FROM opt_out_sync.v_night_report
    WHERE night > CAST(:last AS date) - CAST(:most AS integer)
) AS n ON n.night = due.night
LEFT JOIN pushed ON pushed.night = coalesce(n.night, due.night)
LEFT JOIN LATERAL (
    SELECT min(r.night) AS night FROM opt_out_sync.sync_run AS r
    WHERE n.night IS NULL AND r.kind = 'night' AND r.state = 'closed' AND r.night > due.night
) AS later ON true
ORDER BY 1
