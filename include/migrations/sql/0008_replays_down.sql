-- Back to 0007.

DROP VIEW opt_out_sync.v_night;
CREATE VIEW opt_out_sync.v_night AS
WITH attempt AS (
    SELECT night,
           count(*) AS attempts,
           coalesce(min(started_at) FILTER (WHERE NOT plan_only AND state <> 'skipped'),
                    min(started_at)) AS started_at,
           coalesce(max(id) FILTER (WHERE NOT plan_only AND state <> 'skipped'),
                    max(id)) AS shown_id
    FROM opt_out_sync.sync_run
    WHERE kind = 'night'
    GROUP BY night
)
SELECT attempt.night,
       attempt.attempts,
       shown.state,
       shown.reason,
       shown.plan_only,
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
       shown.settings_version
FROM attempt
JOIN opt_out_sync.sync_run AS shown ON shown.id = attempt.shown_id
CROSS JOIN LATERAL (
    SELECT count(*) AS decisions,
           count(*) FILTER (WHERE link.opts_out_store) AS opt_outs_to_store,
           count(*) FILTER (WHERE link.opts_out_salesforce) AS opt_outs_to_salesforce,
           count(*) FILTER (WHERE link.clears_store) AS clears_to_store,
           count(*) FILTER (WHERE link.clears_salesforce) AS clears_to_salesforce
    FROM (
        SELECT bool_or(a.target_store) AS opts_out_store,
               bool_or(a.target_salesforce) AS opts_out_salesforce,
               bool_or(NOT a.target_store) AS clears_store,
               bool_or(NOT a.target_salesforce) AS clears_salesforce
        FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.merge_audit AS a ON a.sync_run_id = r.id
        WHERE r.kind = 'night' AND r.night = attempt.night AND r.plan_only = shown.plan_only
        GROUP BY a.person_id, a.record_id, a.field
    ) AS link
) AS decided
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE newest.outcome IN ('applied', 'confirmed')) AS applied,
           count(*) FILTER (WHERE newest.outcome = 'failed') AS failed,
           count(*) FILTER (WHERE newest.outcome = 'held') AS held
    FROM (
        SELECT DISTINCT ON (w.person_id, w.record_id, w.field, w.side) w.outcome
        FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = r.id
        WHERE r.kind = 'night' AND r.night = attempt.night
        ORDER BY w.person_id, w.record_id, w.field, w.side, w.id DESC
    ) AS newest
) AS written;
GRANT SELECT ON opt_out_sync.v_night TO opt_out_analyst, opt_out_admin;
ALTER TABLE opt_out_sync.merge_audit DROP COLUMN supersedes;
