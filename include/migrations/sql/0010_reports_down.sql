-- Back to 0007. Who gave a push up, and what look-ups were made with, is lost.

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
