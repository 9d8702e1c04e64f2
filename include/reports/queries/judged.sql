-- Where each opt-out of a period stands. Grain: that of v_compliance.
-- `days` and `ends` say for each day in California when its tenth business day ends; a day that is
-- long before them is long overdue, whatever its holidays.
WITH due AS MATERIALIZED (
    SELECT day, ends_at
    FROM unnest(CAST(:days AS date[]), CAST(:ends AS timestamptz[])) AS due (day, ends_at)
), dated AS (
    SELECT c.*,
           c.captured_at + interval '48 hours' AS due_48_hours,
           coalesce(due.ends_at, c.captured_at + interval '21 days') AS due_10_days
    FROM opt_out_sync.v_compliance AS c
    LEFT JOIN due ON due.day = (c.captured_at AT TIME ZONE 'America/Los_Angeles')::date
    WHERE c.recorded_at >= CAST(:start AS timestamptz) AND c.recorded_at < CAST(:end AS timestamptz)
), judged AS (
    SELECT dated.*,
           CASE WHEN NOT is_synced THEN 'not_synced'
                WHEN verified_at > due_10_days THEN 'late'
                WHEN verified_at > due_48_hours THEN 'slow'
                WHEN verified_at IS NOT NULL THEN 'in_time'
                WHEN NOT stands THEN 'ended'
                WHEN unreachable IS NOT NULL THEN 'unreachable'
                WHEN CAST(:now AS timestamptz) > due_10_days THEN 'breached'
                WHEN CAST(:now AS timestamptz) > due_48_hours THEN 'at_risk'
                ELSE 'pending'
           END AS standing
    FROM dated
)
