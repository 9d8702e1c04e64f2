-- Back to 0012. What was thinned stays so; who did it is lost.

CREATE OR REPLACE FUNCTION opt_out_sync.tally_ended_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM opt_out_sync.tally_nights(ARRAY[NEW.night]);
    RETURN NULL;
END
$$;

DROP INDEX opt_out_sync.merge_audit_code, opt_out_sync.merge_audit_record;
CREATE INDEX merge_audit_code ON opt_out_sync.merge_audit (code, decided_at, id);
CREATE INDEX merge_audit_record ON opt_out_sync.merge_audit (record_id, decided_at, id);
CREATE INDEX link_opted_out_field ON opt_out_sync.link (org_id, field) WHERE state = 'active' AND base;
ALTER TABLE opt_out_sync.link RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor
);
ALTER TABLE opt_out_sync.push_signal RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold
);
ALTER TABLE opt_out_sync.push_outbox RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold
);

-- As in 0008.
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
DROP VIEW opt_out_sync.v_night_counted;

DROP FUNCTION opt_out_sync.thin_audit_month;
DROP FUNCTION opt_out_sync.keep_writes;
DROP FUNCTION opt_out_sync.keep_decisions;
DROP FUNCTION opt_out_sync.audit_months_due;
DROP TABLE opt_out_sync.audit_thinning;

-- The older release refuses settings that it does not know, and keeps everything.
DROP TRIGGER settings_version_insert_only ON opt_out_sync.settings_version;
UPDATE opt_out_sync.settings_version SET document = document - 'audit_keep_months';
CREATE TRIGGER settings_version_insert_only BEFORE UPDATE OR DELETE
    ON opt_out_sync.settings_version
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
