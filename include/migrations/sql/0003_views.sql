-- What analysts read. No view shows an address, nor a text that a person typed.

-- One row per night. A night has an attempt per execution of its first task: links are counted once
-- over all attempts, and a write counts with its newest outcome: the highest id, because workers'
-- clocks differ. The night is shown as its newest attempt left it; an attempt that only planned, or
-- was skipped, counts as one and is shown only if there is no other.
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

-- Everything that happened to a person, one row per act, decision and write.
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
       concat(CASE w.side WHEN 'store' THEN 'Store, for ' ELSE 'Salesforce ' END,
              w.object, ' ', w.record_id, ' ', w.field, ' := ',
              CASE WHEN w.target THEN 'opted out' ELSE 'not opted out' END,
              ': ', w.outcome, '.', ' ' || w.fix),
       w.sync_run_id
FROM opt_out_sync.write_attempt AS w;

-- Writes that failed and that nothing has mended, oldest first. Every night compares everything and
-- tries again whatever still differs, so what failed before the last closed night and was not tried
-- in it or after it no longer differs.
CREATE VIEW opt_out_sync.v_open_failures AS
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

-- The roles belong to the whole server, so they may exist already, and a downgrade never drops them.
CREATE FUNCTION pg_temp.create_role(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this server was migrated at the same moment
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the migrating user may not create roles: let an administrator run '
            'CREATE ROLE % NOLOGIN, then migrate again', name USING ERRCODE = 'OS001';
END
$$;
SELECT pg_temp.create_role('opt_out_analyst'), pg_temp.create_role('opt_out_sync_writer');
DROP FUNCTION pg_temp.create_role (text);

GRANT USAGE ON SCHEMA opt_out_sync TO opt_out_analyst;
GRANT SELECT ON opt_out_sync.v_night, opt_out_sync.v_person_timeline, opt_out_sync.v_open_failures
    TO opt_out_analyst;

-- What a night needs, for a login that does not own the tables: no address, no change of evidence.
-- It also makes temporary tables, which everybody may in a database unless that was revoked.
GRANT USAGE ON SCHEMA engagement, opt_out_sync TO opt_out_sync_writer;
GRANT SELECT (id, salesforce_id) ON engagement.person TO opt_out_sync_writer;
GRANT SELECT ON engagement.unsubscribe TO opt_out_sync_writer;
GRANT EXECUTE ON FUNCTION
    engagement.person_states, engagement.record_act, opt_out_sync.ensure_audit_partitions
    TO opt_out_sync_writer;
GRANT SELECT, INSERT ON
    opt_out_sync.settings_version, opt_out_sync.merge_audit, opt_out_sync.write_attempt
    TO opt_out_sync_writer;
GRANT SELECT, INSERT, UPDATE ON
    opt_out_sync.sync_run, opt_out_sync.sync_step, opt_out_sync.salesforce_job, opt_out_sync.link
    TO opt_out_sync_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON opt_out_sync.unlinked_person TO opt_out_sync_writer;
GRANT SELECT ON opt_out_sync.v_open_failures TO opt_out_sync_writer;
