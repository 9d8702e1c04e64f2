-- Back to 0008. Who gave a push up, and what look-ups were made with, is lost.

REVOKE SELECT ON opt_out_sync.opt_out_alembic_version FROM opt_out_admin, opt_out_sync_writer;
REVOKE SELECT (erased_at, opt_outs) ON opt_out_sync.erasure FROM opt_out_analyst;
DROP INDEX opt_out_sync.sync_run_kind;
DROP INDEX opt_out_sync.write_attempt_failed;
DROP INDEX opt_out_sync.write_attempt_newest;
DROP INDEX opt_out_sync.merge_audit_record;
DROP INDEX opt_out_sync.merge_audit_code;
DROP INDEX opt_out_sync.merge_audit_newest;
DROP INDEX engagement.unsubscribe_recorded;
DROP VIEW opt_out_sync.v_compliance;
DROP FUNCTION opt_out_sync.look_up_people;
ALTER TABLE opt_out_sync.look_up DROP COLUMN login, DROP COLUMN wanted;
DROP INDEX opt_out_sync.link_person;
DROP INDEX opt_out_sync.erasure_person;

-- As in 0006.
CREATE OR REPLACE VIEW opt_out_sync.v_open_failures AS
WITH last_night AS (
    SELECT id, started_at
    FROM (
        SELECT r.id, r.started_at FROM opt_out_sync.sync_run AS r
        WHERE r.kind = 'night' AND r.state = 'closed'
        UNION ALL
        SELECT 0, '-infinity'
    ) AS night
    ORDER BY id DESC
    LIMIT 1
), first_run AS (
    SELECT least(night.id, min(r.id)) AS id
    FROM last_night AS night
    LEFT JOIN opt_out_sync.sync_run AS r
        ON r.kind = 'push' AND coalesce(r.closed_at, r.lease_expires_at) >= night.started_at
    GROUP BY night.id
), newest AS (
    SELECT DISTINCT ON (w.org_id, w.person_id, w.record_id, w.field, w.side) w.*
    FROM opt_out_sync.write_attempt AS w
    WHERE w.sync_run_id >= (SELECT id FROM first_run)
      AND (w.sync_run_id >= (SELECT id FROM last_night)
           OR w.attempted_at >= (SELECT started_at FROM last_night))
    ORDER BY w.org_id, w.person_id, w.record_id, w.field, w.side, w.id DESC
), failed AS (
    SELECT newest.*, since.first_failed_at, decided.opted_out_at
    FROM newest
    CROSS JOIN LATERAL (
        SELECT min(w.attempted_at) AS first_failed_at
        FROM opt_out_sync.write_attempt AS w
        WHERE w.person_id = newest.person_id
          AND w.record_id IS NOT DISTINCT FROM newest.record_id
          AND w.field IS NOT DISTINCT FROM newest.field
          AND w.side = newest.side
          AND w.org_id = newest.org_id
          AND w.outcome = 'failed'
          AND NOT EXISTS (
              SELECT FROM opt_out_sync.write_attempt AS mended
              WHERE mended.person_id = w.person_id
                AND mended.record_id IS NOT DISTINCT FROM w.record_id
                AND mended.field IS NOT DISTINCT FROM w.field
                AND mended.side = w.side
                AND mended.org_id = w.org_id
                AND mended.outcome = 'confirmed'
                AND mended.id > w.id
          )
    ) AS since
    LEFT JOIN LATERAL (
        SELECT CASE WHEN newest.side = 'salesforce' THEN a.store_opted_out_at
                    ELSE a.salesforce_opted_out_before END AS opted_out_at
        FROM opt_out_sync.merge_audit AS a
        WHERE newest.target
          AND a.person_id = newest.person_id
          AND a.sync_run_id = newest.sync_run_id
          AND a.record_id IS NOT DISTINCT FROM newest.record_id
          AND a.field IS NOT DISTINCT FROM newest.field
        ORDER BY a.id DESC
        LIMIT 1
    ) AS decided ON true
    WHERE newest.outcome = 'failed'
), open_failure AS (
    SELECT f.org_id, f.person_id, f.record_id, f.object, f.field, f.side, f.target,
           f.failure_class, f.code, f.fix, f.first_failed_at, f.attempted_at AS last_failed_at,
           f.sync_run_id, coalesce(f.opted_out_at, f.first_failed_at) AS since,
           o.attempts, o.next_attempt_at
    FROM failed AS f
    LEFT JOIN opt_out_sync.push_outbox AS o
        ON o.person_id = f.person_id AND o.state <> 'closed' AND f.side = 'salesforce'
    UNION ALL
    -- Whom no push could write yet: it failed before it knew the record, all pushes pause, or nobody
    -- looked for an hour. It does not know which record is meant, nor in which org.
    SELECT NULL, o.person_id, NULL, NULL, NULL, 'salesforce', NULL,
           coalesce(o.failure_class, 'retry'),
           coalesce(o.code, pause.code, 'NOT_PUSHED'),
           coalesce(o.fix, pause.reason,
                    'No push has looked at this person: switch DAG unsubscribe_push on, and see '
                    'that the sync is not paused.'),
           o.marked_at, NULL, NULL, o.marked_at, o.attempts,
           greatest(o.next_attempt_at, pause.until)
    FROM opt_out_sync.v_push_outbox AS o
    LEFT JOIN opt_out_sync.push_pause AS pause ON true
    WHERE (o.failure_class IS NOT NULL
           OR pause.code IS NOT NULL
           OR o.waiting_for > interval '1 hour')
      AND NOT EXISTS (
          SELECT FROM failed AS f WHERE f.person_id = o.person_id AND f.side = 'salesforce'
      )
)
SELECT org_id,
       person_id,
       record_id,
       object,
       field,
       side,
       target,
       failure_class,
       code,
       fix,
       first_failed_at,
       last_failed_at,
       coalesce(last_failed_at, now()) - first_failed_at AS failing_for,
       sync_run_id,
       since AS opted_out_at,
       now() - since AS age,
       now() - since > interval '48 hours' AS is_past_48_hours,
       opt_out_sync.business_days_after(since, 10) AS due_at,
       now() >= opt_out_sync.business_days_after(since, 10) AS is_past_10_business_days,
       attempts,
       next_attempt_at
FROM open_failure
ORDER BY since, person_id, record_id;

-- As in 0005.
DROP VIEW opt_out_sync.v_person_timeline;
CREATE VIEW opt_out_sync.v_person_timeline AS
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
       concat(CASE WHEN w.side = 'salesforce' THEN 'Salesforce '
                   WHEN w.record_id IS NULL THEN 'Store'
                   ELSE 'Store, for ' END,
              concat_ws(' ', w.object, w.record_id, w.field), ' := ',
              CASE WHEN w.target THEN 'opted out' ELSE 'not opted out' END,
              ': ', w.outcome, '.', ' ' || w.fix),
       w.sync_run_id
FROM opt_out_sync.write_attempt AS w
UNION ALL
SELECT j.person_id, j.judged_at, 'judgement', NULL, j.code,
       concat('Resubscribe ', j.act_id, ' is ', j.verdict, '. ', j.reason), j.sync_run_id
FROM opt_out_sync.resubscribe_judgement AS j
UNION ALL
SELECT l.person_id, l.released_at, 'release', 'salesforce', 'RELEASED',
       concat('Salesforce may be written again: ', l.links, ' of the links were released.'), NULL
FROM opt_out_sync.link_release AS l;
GRANT SELECT ON opt_out_sync.v_person_timeline
    TO opt_out_analyst, opt_out_admin, opt_out_support;

DROP FUNCTION opt_out_sync.give_up_push;
DROP FUNCTION opt_out_sync.retry_push;
DROP TABLE opt_out_sync.push_intervention;
DROP VIEW opt_out_sync.v_night_report;
DROP TRIGGER sync_run_is_tallied ON opt_out_sync.sync_run;
DROP FUNCTION opt_out_sync.tally_ended_run;
DROP FUNCTION opt_out_sync.tally_nights;
DROP TABLE opt_out_sync.night_tally;
