-- Nights that were run again: what each attempt decided otherwise, and all attempts as one night.

-- The decision about the same link, by an earlier attempt of the same night, that this one replaces
-- because it says something else.
ALTER TABLE opt_out_sync.merge_audit ADD COLUMN supersedes bigint;

-- As in 0005, and replays. One row per night of which anything was run; a night that was only
-- replayed was missed.
--  * A night has an attempt per execution of its first task, and any number of replays. It is shown
--    as its newest attempt left it; one that only planned, or was skipped, is shown only if there
--    is no other.
--  * Decisions: of each link the newest of all attempts and replays; an older one counts as well
--    where it was applied, which stays true.
--  * Writes: those applied are summed over all attempts and replays; `failed` and `held` tell what
--    the newest one left. Newest is the highest id, because workers' clocks differ.
CREATE OR REPLACE VIEW opt_out_sync.v_night AS
WITH attempt AS (
    SELECT night,
           count(*) FILTER (WHERE kind = 'night') AS attempts,
           count(*) FILTER (WHERE kind = 'replay') AS replays,
           coalesce(min(started_at) FILTER (WHERE kind = 'night' AND is_real),
                    min(started_at) FILTER (WHERE kind = 'night')) AS started_at,
           coalesce(max(id) FILTER (WHERE kind = 'night' AND is_real),
                    max(id) FILTER (WHERE kind = 'night')) AS shown_id,
           bool_and(plan_only) AS is_planned
    FROM (
        SELECT *, NOT plan_only AND state <> 'skipped' AS is_real FROM opt_out_sync.sync_run
    ) AS run
    WHERE kind IN ('night', 'replay')
    GROUP BY night
)
SELECT attempt.night,
       attempt.attempts,
       coalesce(shown.state, 'missed') AS state,
       shown.reason,
       coalesce(shown.plan_only, attempt.is_planned) AS plan_only,
       attempt.started_at,
       shown.closed_at,
       decided.decisions,
       decided.opt_outs_to_store,
       decided.opt_outs_to_salesforce,
       decided.clears_to_store,
       decided.clears_to_salesforce,
       written.applied,
       written.failed,
       written.held,
       shown.settings_version,
       attempt.replays
FROM attempt
LEFT JOIN opt_out_sync.sync_run AS shown ON shown.id = attempt.shown_id
CROSS JOIN LATERAL (
    SELECT count(*) AS decisions,
           count(*) FILTER (WHERE link.opts_out_store) AS opt_outs_to_store,
           count(*) FILTER (WHERE link.opts_out_salesforce) AS opt_outs_to_salesforce,
           count(*) FILTER (WHERE link.clears_store) AS clears_to_store,
           count(*) FILTER (WHERE link.clears_salesforce) AS clears_to_salesforce
    FROM (
        SELECT bool_or(d.target_store AND (d.is_newest OR d.store_applied)) AS opts_out_store,
               bool_or(d.target_salesforce AND (d.is_newest OR d.salesforce_applied))
                   AS opts_out_salesforce,
               bool_or(NOT d.target_store AND (d.is_newest OR d.store_applied)) AS clears_store,
               bool_or(NOT d.target_salesforce AND (d.is_newest OR d.salesforce_applied))
                   AS clears_salesforce
        FROM (
            SELECT a.person_id, a.record_id, a.field, a.target_store, a.target_salesforce,
                   a.id = max(a.id) OVER (PARTITION BY a.person_id, a.record_id, a.field)
                       AS is_newest,
                   done.in_store AS store_applied,
                   done.in_salesforce AS salesforce_applied
            FROM opt_out_sync.sync_run AS r
            JOIN opt_out_sync.merge_audit AS a ON a.sync_run_id = r.id
            LEFT JOIN (
                SELECT w.sync_run_id, w.person_id, coalesce(w.record_id, '') AS record_id,
                       coalesce(w.field, '') AS field,
                       bool_or(w.side = 'store') AS in_store,
                       bool_or(w.side = 'salesforce') AS in_salesforce
                FROM opt_out_sync.sync_run AS of
                JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = of.id
                WHERE of.kind IN ('night', 'replay') AND of.night = attempt.night
                  AND w.outcome IN ('applied', 'confirmed')
                GROUP BY 1, 2, 3, 4
            ) AS done
                ON done.sync_run_id = a.sync_run_id
               AND done.person_id = a.person_id
               AND done.record_id = coalesce(a.record_id, '')
               AND done.field = coalesce(a.field, '')
            WHERE r.kind IN ('night', 'replay') AND r.night = attempt.night
              AND r.plan_only = coalesce(shown.plan_only, attempt.is_planned)
        ) AS d
        GROUP BY d.person_id, d.record_id, d.field
    ) AS link
) AS decided
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE w.is_last_of_run AND w.outcome IN ('applied', 'confirmed'))
               AS applied,
           count(*) FILTER (WHERE w.is_last AND w.outcome = 'failed') AS failed,
           count(*) FILTER (WHERE w.is_last AND w.outcome = 'held') AS held
    FROM (
        SELECT w.outcome,
               w.id = max(w.id) OVER (PARTITION BY w.person_id, w.record_id, w.field, w.side)
                   AS is_last,
               w.id = max(w.id) OVER (PARTITION BY w.person_id, w.record_id, w.field, w.side,
                                                   w.sync_run_id) AS is_last_of_run
        FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = r.id
        WHERE r.kind IN ('night', 'replay') AND r.night = attempt.night
    ) AS w
) AS written;
