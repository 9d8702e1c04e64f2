-- What the whole conflict rules need: judged evidence, held clears, confirmed orgs, and on decisions
-- and links what they were decided by.

-- Insert-only: the newest row of an act is what became of it. `reason` and `in_the_way` are
-- sentences of ours: nothing that a person typed.
CREATE TABLE opt_out_sync.resubscribe_judgement (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    judged_at   timestamptz NOT NULL,
    sync_run_id bigint NOT NULL,
    act_id      bigint NOT NULL,
    person_id   bigint NOT NULL,
    verdict     text NOT NULL,
    code        text NOT NULL,
    reason      text NOT NULL,
    in_the_way  text,
    retry_after timestamptz,
    CONSTRAINT resubscribe_judgement_verdict
        CHECK (verdict IN ('accepted', 'refused', 'waiting', 'held'))
);
CREATE INDEX resubscribe_judgement_act ON opt_out_sync.resubscribe_judgement (act_id, id);
CREATE INDEX resubscribe_judgement_person
    ON opt_out_sync.resubscribe_judgement (person_id, judged_at);

-- A clear that waits for a person. It has no record where only the store was to be cleared.
CREATE TABLE opt_out_sync.held_clear (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id          text NOT NULL,
    person_id       bigint NOT NULL,
    record_id       text,
    object          text,
    field           text,
    evidence_id     bigint,
    held_run_id     bigint NOT NULL,
    held_at         timestamptz NOT NULL,
    resolution      text,
    resolved_at     timestamptz,
    resolved_run_id bigint,
    CONSTRAINT held_clear_resolution
        CHECK (resolution IN ('cleared', 'rejected', 'timed_out', 'superseded')),
    CONSTRAINT held_clear_resolved_once CHECK (
        (resolution IS NULL) = (resolved_at IS NULL)
        AND (resolution IS NULL) = (resolved_run_id IS NULL)
    )
);
CREATE UNIQUE INDEX held_clear_open
    ON opt_out_sync.held_clear (org_id, person_id, record_id, field) NULLS NOT DISTINCT
    WHERE resolution IS NULL;

-- Insert-only: an org is confirmed once, by a person who has seen the plan of its first night.
CREATE TABLE opt_out_sync.org_confirmation (
    org_id       text PRIMARY KEY,
    confirmed_at timestamptz NOT NULL,
    confirmed_by text NOT NULL,
    note         text NOT NULL
);
-- Whoever has synced before this question existed has answered it.
INSERT INTO opt_out_sync.org_confirmation (org_id, confirmed_at, confirmed_by, note)
SELECT DISTINCT org_id, now(), 'migration', 'This org was synced before first nights were planned.'
FROM opt_out_sync.sync_run
WHERE state = 'closed' AND org_id IS NOT NULL;

-- Insert-only: who let Salesforce be written again after a tug of war.
CREATE TABLE opt_out_sync.link_release (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    released_at timestamptz NOT NULL,
    released_by text NOT NULL,
    note        text NOT NULL,
    person_id   bigint NOT NULL,
    links       integer NOT NULL
);
CREATE INDEX link_release_person ON opt_out_sync.link_release (person_id, released_at);

CREATE TRIGGER resubscribe_judgement_insert_only BEFORE UPDATE OR DELETE
    ON opt_out_sync.resubscribe_judgement
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER org_confirmation_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.org_confirmation
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER link_release_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.link_release
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER resubscribe_judgement_no_truncate BEFORE TRUNCATE
    ON opt_out_sync.resubscribe_judgement
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER org_confirmation_no_truncate BEFORE TRUNCATE ON opt_out_sync.org_confirmation
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER link_release_no_truncate BEFORE TRUNCATE ON opt_out_sync.link_release
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();

-- evidence_id: accepted evidence that covers the opt-out which Salesforce still shows.
-- flips: closed nights running in which the other side undid what was written.
ALTER TABLE opt_out_sync.link
    ADD COLUMN evidence_id bigint,
    ADD COLUMN flips integer NOT NULL DEFAULT 0;

ALTER TABLE opt_out_sync.merge_audit
    ADD COLUMN base_since                   timestamptz,
    ADD COLUMN store_act_id                 bigint,
    ADD COLUMN salesforce_opted_out_after   timestamptz,
    ADD COLUMN salesforce_opted_out_before  timestamptz,
    ADD COLUMN salesforce_time_source       text,
    ADD COLUMN evidence_id                  bigint,
    ADD COLUMN shared_with                  bigint,
    ADD COLUMN account_id                   text;

-- A clear of a person without a record has a write too, to the store alone.
ALTER TABLE opt_out_sync.write_attempt
    ALTER COLUMN record_id DROP NOT NULL,
    ALTER COLUMN object DROP NOT NULL,
    ALTER COLUMN field DROP NOT NULL,
    ADD CONSTRAINT write_attempt_salesforce_has_a_record CHECK (
        side = 'store'
        OR (record_id IS NOT NULL AND object IS NOT NULL AND field IS NOT NULL)
    ),
    DROP CONSTRAINT write_attempt_once;
ALTER TABLE opt_out_sync.write_attempt
    ADD CONSTRAINT write_attempt_once UNIQUE NULLS NOT DISTINCT
        (sync_run_id, person_id, record_id, field, side, outcome, attempted_at);
-- Clears are few: counting those of a day reads only them.
CREATE INDEX write_attempt_clear ON opt_out_sync.write_attempt (org_id, attempted_at)
    WHERE NOT target;

-- As in 0003, and clears: how many were decided, and how many wait for a person.
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

-- Everything that happened to a person: one row per act, decision, write, judgement and release.
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

-- As in 0003; a write without a record is found again too.
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
WHERE newest.outcome = 'failed'
ORDER BY since.first_failed_at, newest.person_id, newest.record_id;

-- Every resubscribe of a person, and what became of it. One row per act; no typed text.
CREATE VIEW opt_out_sync.v_resubscribe AS
SELECT own.person_id,
       own.act_id,
       own.at,
       own.recorded_at,
       own.is_evidence,
       coalesce(newest.verdict, 'waiting') AS verdict,
       newest.code,
       coalesce(
           newest.reason,
           CASE WHEN own.is_evidence THEN 'No run has judged it yet.'
                ELSE 'A reason, an actor and a reference are needed to end an opt-out.'
           END
       ) AS reason,
       newest.in_the_way,
       newest.retry_after,
       newest.judged_at,
       newest.sync_run_id
FROM (
    SELECT u.person_id,
           u.id AS act_id,
           least(u.occurred_at, u.recorded_at) AS at,
           u.recorded_at,
           coalesce(u.reason, '') <> '' AND coalesce(u.actor, '') <> ''
               AND coalesce(u.evidence_ref, '') <> '' AS is_evidence
    FROM engagement.unsubscribe AS u
    WHERE u.kind = 'resubscribe' AND u.origin <> 'Salesforce Sync'
) AS own
LEFT JOIN LATERAL (
    SELECT j.verdict, j.code, j.reason, j.in_the_way, j.retry_after, j.judged_at, j.sync_run_id
    FROM opt_out_sync.resubscribe_judgement AS j
    WHERE j.act_id = own.act_id
    ORDER BY j.id DESC
    LIMIT 1
) AS newest ON true;

-- Clears that wait, or waited, for a person: the open ones first, the oldest of them on top.
CREATE VIEW opt_out_sync.v_held_clears AS
SELECT held.id,
       held.org_id,
       held.person_id,
       held.record_id,
       held.object,
       held.field,
       held.evidence_id,
       held.held_at,
       held.held_run_id,
       held.resolution,
       held.resolved_at,
       held.resolved_run_id
FROM opt_out_sync.held_clear AS held
ORDER BY held.resolved_at DESC NULLS FIRST, held.held_at, held.id;

-- Decisions whose sides differed, newest first: something was written, or could not be any more.
CREATE VIEW opt_out_sync.v_conflicts AS
SELECT a.id,
       a.decided_at,
       a.sync_run_id,
       r.kind,
       r.night,
       r.plan_only,
       a.org_id,
       a.person_id,
       a.record_id,
       a.object,
       a.field,
       a.base,
       a.base_since,
       a.store_is_opted_out,
       a.store_opted_out_at,
       a.store_origin,
       a.store_act_id,
       a.salesforce_is_opted_out,
       a.salesforce_opted_out_after,
       a.salesforce_opted_out_before,
       a.salesforce_time_source,
       a.salesforce_modified_at,
       a.salesforce_modified_by,
       a.target_store,
       a.target_salesforce,
       a.rule,
       a.code,
       a.reason,
       a.cause,
       a.evidence_id,
       a.shared_with
FROM opt_out_sync.merge_audit AS a
LEFT JOIN opt_out_sync.sync_run AS r ON r.id = a.sync_run_id
WHERE a.target_store IS NOT NULL
   OR a.target_salesforce IS NOT NULL
   OR a.code = 'TUG_OF_WAR'
ORDER BY a.decided_at DESC, a.id DESC;

GRANT SELECT ON
    opt_out_sync.v_night, opt_out_sync.v_resubscribe, opt_out_sync.v_held_clears,
    opt_out_sync.v_conflicts
    TO opt_out_analyst;

GRANT SELECT, INSERT ON opt_out_sync.resubscribe_judgement TO opt_out_sync_writer;
GRANT SELECT, INSERT, UPDATE ON opt_out_sync.held_clear TO opt_out_sync_writer;
-- A consent that is recorded, or a run that is corrected, asks what became of earlier ones.
GRANT SELECT ON opt_out_sync.org_confirmation, opt_out_sync.v_resubscribe TO opt_out_sync_writer;

-- What an admin decides: settings, the first night of an org, the end of a tug of war.
GRANT USAGE ON SCHEMA opt_out_sync TO opt_out_admin;
GRANT SELECT, INSERT ON opt_out_sync.settings_version, opt_out_sync.org_confirmation
    TO opt_out_admin;
-- What has to be looked at for that. No typed text but the admins' own, and no address.
GRANT SELECT ON
    opt_out_sync.sync_run, opt_out_sync.sync_step, opt_out_sync.link, opt_out_sync.merge_audit,
    opt_out_sync.write_attempt, opt_out_sync.held_clear, opt_out_sync.v_night,
    opt_out_sync.v_person_timeline, opt_out_sync.v_open_failures, opt_out_sync.v_resubscribe,
    opt_out_sync.v_held_clears, opt_out_sync.v_conflicts
    TO opt_out_admin;
GRANT UPDATE (flips) ON opt_out_sync.link TO opt_out_admin;
GRANT INSERT ON opt_out_sync.link_release TO opt_out_admin;
