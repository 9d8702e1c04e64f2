-- Back to 0004. Judgements, held clears and confirmations are lost, and so are writes without a record.

REVOKE ALL ON ALL TABLES IN SCHEMA opt_out_sync FROM opt_out_admin;
REVOKE USAGE ON SCHEMA opt_out_sync FROM opt_out_admin;

DROP VIEW opt_out_sync.v_conflicts;
DROP VIEW opt_out_sync.v_held_clears;
DROP VIEW opt_out_sync.v_resubscribe;
DROP VIEW opt_out_sync.v_night;

-- The three views of 0003.
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
       written.applied,
       written.failed,
       shown.settings_version
FROM attempt
JOIN opt_out_sync.sync_run AS shown ON shown.id = attempt.shown_id
CROSS JOIN LATERAL (
    SELECT count(*) AS decisions,
           count(*) FILTER (WHERE link.target_store) AS opt_outs_to_store,
           count(*) FILTER (WHERE link.target_salesforce) AS opt_outs_to_salesforce
    FROM (
        SELECT bool_or(a.target_store) AS target_store,
               bool_or(a.target_salesforce) AS target_salesforce
        FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.merge_audit AS a ON a.sync_run_id = r.id
        WHERE r.kind = 'night' AND r.night = attempt.night AND r.plan_only = shown.plan_only
        GROUP BY a.person_id, a.record_id, a.field
    ) AS link
) AS decided
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE newest.outcome IN ('applied', 'confirmed')) AS applied,
           count(*) FILTER (WHERE newest.outcome = 'failed') AS failed
    FROM (
        SELECT DISTINCT ON (w.person_id, w.record_id, w.field, w.side) w.outcome
        FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = r.id
        WHERE r.kind = 'night' AND r.night = attempt.night
        ORDER BY w.person_id, w.record_id, w.field, w.side, w.id DESC
    ) AS newest
) AS written;
GRANT SELECT ON opt_out_sync.v_night TO opt_out_analyst;

CREATE OR REPLACE VIEW opt_out_sync.v_person_timeline AS
SELECT u.person_id,
       least(u.occurred_at, u.recorded_at) AS at,
       'act' AS what,
       'store' AS side,
       u.kind AS code,
       concat(initcap(u.kind), ' (', u.scope, ') by ', u.origin, ', recorded ',
              to_char(u.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ' UTC')
           AS detail,
       NULL::bigint AS sync_run_id
FROM engagement.unsubscribe AS u
UNION ALL
SELECT a.person_id, a.decided_at, 'decision', NULL, a.code, a.reason, a.sync_run_id
FROM opt_out_sync.merge_audit AS a
UNION ALL
SELECT w.person_id, w.attempted_at, 'write', w.side, coalesce(w.code, w.outcome),
       concat(CASE w.side WHEN 'store' THEN 'Store, for ' ELSE 'Salesforce ' END,
              w.object, ' ', w.record_id, ' ', w.field, ' := ',
              CASE WHEN w.target THEN 'opted out' ELSE 'not opted out' END,
              ': ', w.outcome, '.', ' ' || w.fix),
       w.sync_run_id
FROM opt_out_sync.write_attempt AS w;

CREATE OR REPLACE VIEW opt_out_sync.v_open_failures AS
WITH last_night AS (
    SELECT coalesce(max(id), 0) AS id
    FROM opt_out_sync.sync_run
    WHERE kind = 'night' AND state = 'closed'
), newest AS (
    SELECT DISTINCT ON (w.org_id, w.person_id, w.record_id, w.field, w.side) w.*
    FROM opt_out_sync.write_attempt AS w
    WHERE w.sync_run_id >= (SELECT id FROM last_night)
    ORDER BY w.org_id, w.person_id, w.record_id, w.field, w.side, w.id DESC
)
SELECT newest.org_id,
       newest.person_id,
       newest.record_id,
       newest.object,
       newest.field,
       newest.side,
       newest.target,
       newest.failure_class,
       newest.code,
       newest.fix,
       since.first_failed_at,
       newest.attempted_at AS last_failed_at,
       newest.attempted_at - since.first_failed_at AS failing_for,
       newest.sync_run_id
FROM newest
CROSS JOIN LATERAL (
    SELECT min(w.attempted_at) AS first_failed_at
    FROM opt_out_sync.write_attempt AS w
    WHERE w.record_id = newest.record_id
      AND w.field = newest.field
      AND w.person_id = newest.person_id
      AND w.side = newest.side
      AND w.org_id = newest.org_id
      AND w.outcome = 'failed'
      AND NOT EXISTS (
          SELECT FROM opt_out_sync.write_attempt AS mended
          WHERE mended.record_id = w.record_id
            AND mended.field = w.field
            AND mended.person_id = w.person_id
            AND mended.side = w.side
            AND mended.org_id = w.org_id
            AND mended.outcome = 'confirmed'
            AND mended.id > w.id
      )
) AS since
WHERE newest.outcome = 'failed'
ORDER BY since.first_failed_at, newest.person_id, newest.record_id;

DROP TABLE opt_out_sync.link_release;
DROP TABLE opt_out_sync.org_confirmation;
DROP TABLE opt_out_sync.held_clear;
DROP TABLE opt_out_sync.resubscribe_judgement;

ALTER TABLE opt_out_sync.link
    DROP COLUMN evidence_id,
    DROP COLUMN flips;

ALTER TABLE opt_out_sync.merge_audit
    DROP COLUMN base_since,
    DROP COLUMN store_act_id,
    DROP COLUMN salesforce_opted_out_after,
    DROP COLUMN salesforce_opted_out_before,
    DROP COLUMN salesforce_time_source,
    DROP COLUMN evidence_id,
    DROP COLUMN shared_with,
    DROP COLUMN account_id;

DROP INDEX opt_out_sync.write_attempt_clear;
DROP TRIGGER write_attempt_insert_only ON opt_out_sync.write_attempt;
DELETE FROM opt_out_sync.write_attempt
    WHERE record_id IS NULL OR object IS NULL OR field IS NULL;
CREATE TRIGGER write_attempt_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.write_attempt
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
ALTER TABLE opt_out_sync.write_attempt
    DROP CONSTRAINT write_attempt_once,
    DROP CONSTRAINT write_attempt_salesforce_has_a_record;
ALTER TABLE opt_out_sync.write_attempt
    ALTER COLUMN record_id SET NOT NULL,
    ALTER COLUMN object SET NOT NULL,
    ALTER COLUMN field SET NOT NULL,
    ADD CONSTRAINT write_attempt_once UNIQUE
        (sync_run_id, person_id, record_id, field, side, outcome, attempted_at);

-- The older release refuses settings that it does not know. A choice that it does not have would
-- become another one there, so the sync is off until an admin has looked.
DROP TRIGGER settings_version_insert_only ON opt_out_sync.settings_version;
UPDATE opt_out_sync.settings_version
SET document = document || '{"enabled": false, "field_mode": "email_opt_out"}'
WHERE document ->> 'field_mode' = 'both';
UPDATE opt_out_sync.settings_version
SET document = document || '{"enabled": false, "conflict_rule": "opt_out_wins"}'
WHERE document ->> 'conflict_rule' = 'changed_side';
UPDATE opt_out_sync.settings_version
SET document = document - ARRAY[
    'clock_skew_seconds', 'evidence_days', 'held_clears_minimum', 'held_clears_fraction',
    'alert_writes_minimum', 'alert_writes_fraction', 'alert_drop_fraction', 'alert_hidden_fraction'
];
CREATE TRIGGER settings_version_insert_only BEFORE UPDATE OR DELETE
    ON opt_out_sync.settings_version
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
