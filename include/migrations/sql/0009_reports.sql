-- What people look at: nights in numbers, deadlines, look-ups, and an audit of millions of rows that
-- answers within a second.

-- A night in numbers. It does not change once its last run has ended, and counting it takes longer
-- than showing it, so it is counted then. One row per night; while a run is open, v_night counts.
CREATE TABLE opt_out_sync.night_tally (
    night                  date PRIMARY KEY,
    decisions              bigint NOT NULL,
    opt_outs_to_store      bigint NOT NULL,
    opt_outs_to_salesforce bigint NOT NULL,
    clears_to_store        bigint NOT NULL,
    clears_to_salesforce   bigint NOT NULL,
    applied                bigint NOT NULL,
    failed                 bigint NOT NULL,
    held                   bigint NOT NULL,
    codes                  jsonb NOT NULL
);

-- Counts nights: over all attempts and replays of a night each link counts once, by its newest
-- decision (the highest id, because workers' clocks differ), and a write by its newest outcome. What
-- an earlier attempt wrote was carried all the same. A plan counts where there was nothing else.
-- Statistics know nothing yet of what a run has just added: a join row by row would compare each with
-- each. Ids are compared by their bytes: any order will do.
CREATE FUNCTION opt_out_sync.tally_nights(nights date[]) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
    WITH run AS MATERIALIZED (
        SELECT each.id, each.night
        FROM (
            SELECT r.id, r.night, r.plan_only,
                   bool_and(r.plan_only) FILTER (WHERE r.state <> 'skipped')
                       OVER (PARTITION BY r.night) AS is_only_planned
            FROM opt_out_sync.sync_run AS r
            WHERE r.kind IN ('night', 'replay') AND r.night = ANY (tally_nights.nights)
        ) AS each
        WHERE each.plan_only = coalesce(each.is_only_planned, false)
    ), decision AS MATERIALIZED (
        SELECT DISTINCT ON (run.night, a.person_id, a.record_id COLLATE "C", a.field COLLATE "C")
               run.night, a.person_id, a.record_id, a.field, a.code, a.target_store,
               a.target_salesforce
        FROM opt_out_sync.merge_audit AS a
        JOIN run ON run.id = a.sync_run_id
        WHERE a.sync_run_id = ANY (ARRAY(SELECT id FROM run))
        ORDER BY run.night, a.person_id, a.record_id COLLATE "C", a.field COLLATE "C", a.id DESC
    ), written AS MATERIALIZED (
        SELECT DISTINCT ON (run.night, w.person_id, w.record_id COLLATE "C", w.field COLLATE "C",
                            w.side)
               run.night, w.person_id, w.record_id, w.field, w.side, w.target, w.outcome
        FROM opt_out_sync.write_attempt AS w
        JOIN run ON run.id = w.sync_run_id
        WHERE w.sync_run_id = ANY (ARRAY(SELECT id FROM run))
        ORDER BY run.night, w.person_id, w.record_id COLLATE "C", w.field COLLATE "C", w.side,
                 w.id DESC
    ), carried AS (
        SELECT night, person_id, record_id, field, 'store' AS side, target_store AS target
        FROM decision WHERE target_store IS NOT NULL
        UNION
        SELECT night, person_id, record_id, field, 'salesforce', target_salesforce
        FROM decision WHERE target_salesforce IS NOT NULL
        UNION
        SELECT night, person_id, record_id, field, side, target
        FROM written WHERE outcome IN ('applied', 'confirmed')
    ), direction AS (
        SELECT night,
               count(*) FILTER (WHERE side = 'store' AND target) AS opt_outs_to_store,
               count(*) FILTER (WHERE side = 'salesforce' AND target) AS opt_outs_to_salesforce,
               count(*) FILTER (WHERE side = 'store' AND NOT target) AS clears_to_store,
               count(*) FILTER (WHERE side = 'salesforce' AND NOT target) AS clears_to_salesforce
        FROM carried GROUP BY night
    ), outcome AS (
        SELECT night,
               count(*) FILTER (WHERE outcome IN ('applied', 'confirmed')) AS applied,
               count(*) FILTER (WHERE outcome = 'failed') AS failed,
               count(*) FILTER (WHERE outcome = 'held') AS held
        FROM written GROUP BY night
    ), code AS (
        SELECT by_code.night, sum(by_code.links)::bigint AS decisions,
               jsonb_object_agg(by_code.code, by_code.links) AS codes
        FROM (SELECT night, code, count(*) AS links FROM decision GROUP BY night, code) AS by_code
        GROUP BY by_code.night
    )
    INSERT INTO opt_out_sync.night_tally AS t
    SELECT asked.night, coalesce(code.decisions, 0), coalesce(direction.opt_outs_to_store, 0),
           coalesce(direction.opt_outs_to_salesforce, 0), coalesce(direction.clears_to_store, 0),
           coalesce(direction.clears_to_salesforce, 0), coalesce(outcome.applied, 0),
           coalesce(outcome.failed, 0), coalesce(outcome.held, 0), coalesce(code.codes, '{}')
    FROM unnest(tally_nights.nights) AS asked (night)
    LEFT JOIN code ON code.night = asked.night
    LEFT JOIN direction ON direction.night = asked.night
    LEFT JOIN outcome ON outcome.night = asked.night
    ON CONFLICT (night) DO UPDATE
        SET decisions = excluded.decisions,
            opt_outs_to_store = excluded.opt_outs_to_store,
            opt_outs_to_salesforce = excluded.opt_outs_to_salesforce,
            clears_to_store = excluded.clears_to_store,
            clears_to_salesforce = excluded.clears_to_salesforce,
            applied = excluded.applied,
            failed = excluded.failed,
            held = excluded.held,
            codes = excluded.codes
$$;
CREATE FUNCTION opt_out_sync.tally_ended_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM opt_out_sync.tally_nights(ARRAY[NEW.night]);
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_run_is_tallied AFTER UPDATE OF state ON opt_out_sync.sync_run
    FOR EACH ROW
    WHEN (NEW.kind IN ('night', 'replay') AND OLD.state = 'open' AND NEW.state <> 'open')
    EXECUTE FUNCTION opt_out_sync.tally_ended_run();
REVOKE EXECUTE ON FUNCTION
    opt_out_sync.tally_nights, opt_out_sync.tally_ended_run
    FROM PUBLIC;
SELECT opt_out_sync.tally_nights(ARRAY(
    SELECT r.night FROM opt_out_sync.sync_run AS r
    WHERE r.kind IN ('night', 'replay') AND r.night IS NOT NULL
    GROUP BY r.night
    HAVING bool_and(r.state <> 'open')
));

-- Nights with their numbers and with the run that is shown: v_night, as fast as a list of nights
-- has to be. `state` is that of the run.
CREATE VIEW opt_out_sync.v_night_report AS
WITH run AS (
    SELECT r.*, NOT r.plan_only AND r.state <> 'skipped' AS is_real
    FROM opt_out_sync.sync_run AS r
    WHERE r.kind = 'night'
), attempt AS (
    SELECT run.night,
           count(*) AS attempts,
           coalesce(min(run.started_at) FILTER (WHERE run.is_real), min(run.started_at))
               AS started_at,
           coalesce(max(run.id) FILTER (WHERE run.is_real), max(run.id)) AS shown_id
    FROM run
    GROUP BY run.night
)
SELECT attempt.night,
       shown.state,
       shown.reason,
       shown.plan_only,
       attempt.attempts,
       attempt.started_at,
       shown.closed_at,
       counted.decisions,
       counted.opt_outs_to_store,
       counted.opt_outs_to_salesforce,
       counted.clears_to_store,
       counted.clears_to_salesforce,
       counted.applied,
       counted.failed,
       counted.held,
       shown.settings_version,
       shown.id AS sync_run_id,
       shown.airflow_run_id,
       coalesce(t.codes, '{}') AS codes
FROM attempt
JOIN opt_out_sync.sync_run AS shown ON shown.id = attempt.shown_id
LEFT JOIN opt_out_sync.night_tally AS t ON t.night = attempt.night
CROSS JOIN LATERAL (
    SELECT t.decisions, t.opt_outs_to_store, t.opt_outs_to_salesforce, t.clears_to_store,
           t.clears_to_salesforce, t.applied, t.failed, t.held
    WHERE t.night IS NOT NULL AND shown.state <> 'open'
    UNION ALL
    SELECT n.decisions, n.opt_outs_to_store, n.opt_outs_to_salesforce, n.clears_to_store,
           n.clears_to_salesforce, n.applied, n.failed, n.held
    FROM opt_out_sync.v_night AS n
    WHERE n.night = attempt.night AND (t.night IS NULL OR shown.state = 'open')
) AS counted;

-- Insert-only: who had a push tried at once, or gave it up, and why.
CREATE TABLE opt_out_sync.push_intervention (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intervened_at timestamptz NOT NULL,
    intervened_by text NOT NULL CHECK (btrim(intervened_by) <> ''),
    note          text NOT NULL CHECK (btrim(note) <> ''),
    person_id     bigint NOT NULL,
    action        text NOT NULL CHECK (action IN ('retry', 'give up')),
    code          text
);
CREATE INDEX push_intervention_person ON opt_out_sync.push_intervention (person_id);
CREATE TRIGGER push_intervention_insert_only BEFORE UPDATE OR DELETE
    ON opt_out_sync.push_intervention
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER push_intervention_no_truncate BEFORE TRUNCATE ON opt_out_sync.push_intervention
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();

-- Lets a push look at a waiting person at once. Returns whether somebody waited.
CREATE FUNCTION opt_out_sync.retry_push(person_id bigint, who text, why text, moment timestamptz)
RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO opt_out_sync.push_intervention
        (intervened_at, intervened_by, note, person_id, action, code)
    SELECT moment, who, why, o.person_id, 'retry', o.code
    FROM opt_out_sync.v_push_outbox AS o
    WHERE o.person_id = retry_push.person_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO opt_out_sync.push_signal (person_id, signalled_at)
    VALUES (retry_push.person_id, moment);
    PERFORM pg_notify('opt_out_sync_push', '');
    RETURN true;
END
$$;

-- Closes a parked push until the person changes; a night compares them all the same. Returns whether
-- it was parked.
CREATE FUNCTION opt_out_sync.give_up_push(person_id bigint, who text, why text, moment timestamptz)
RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    WITH given_up AS (
        UPDATE opt_out_sync.push_outbox AS o
        SET state = 'closed', closed_at = moment, failure_class = NULL
        WHERE o.person_id = give_up_push.person_id AND o.state = 'parked'
          AND NOT EXISTS (SELECT FROM opt_out_sync.push_signal AS s WHERE s.person_id = o.person_id)
        RETURNING o.person_id, o.code
    )
    INSERT INTO opt_out_sync.push_intervention
        (intervened_at, intervened_by, note, person_id, action, code)
    SELECT moment, who, why, g.person_id, 'give up', g.code FROM given_up AS g;
    RETURN FOUND;
END
$$;
REVOKE EXECUTE ON FUNCTION opt_out_sync.retry_push, opt_out_sync.give_up_push FROM PUBLIC;

-- As in 0005, with what a person did about a push, and with the row that says each thing.
CREATE OR REPLACE VIEW opt_out_sync.v_person_timeline AS
SELECT u.person_id,
       least(u.occurred_at, u.recorded_at) AS at,
       'act' AS what,
       'store' AS side,
       u.kind AS code,
       concat(initcap(u.kind), ' (', u.scope, ') by ', u.origin, ', recorded ',
              to_char(u.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ' UTC')
           AS detail,
       NULL::bigint AS sync_run_id,
       'engagement.unsubscribe' AS source,
       u.id AS source_id
FROM engagement.unsubscribe AS u
UNION ALL
SELECT a.person_id, a.decided_at, 'decision', NULL, a.code, a.reason, a.sync_run_id,
       'opt_out_sync.merge_audit', a.id
FROM opt_out_sync.merge_audit AS a
UNION ALL
SELECT w.person_id, w.attempted_at, 'write', w.side, coalesce(w.code, w.outcome),
       concat(CASE WHEN w.side = 'salesforce' THEN 'Salesforce '
                   WHEN w.record_id IS NULL THEN 'Store'
                   ELSE 'Store, for ' END,
              concat_ws(' ', w.object, w.record_id, w.field), ' := ',
              CASE WHEN w.target THEN 'opted out' ELSE 'not opted out' END,
              ': ', w.outcome, '.', ' ' || w.fix),
       w.sync_run_id, 'opt_out_sync.write_attempt', w.id
FROM opt_out_sync.write_attempt AS w
UNION ALL
SELECT j.person_id, j.judged_at, 'judgement', NULL, j.code,
       concat('Resubscribe ', j.act_id, ' is ', j.verdict, '. ', j.reason), j.sync_run_id,
       'opt_out_sync.resubscribe_judgement', j.id
FROM opt_out_sync.resubscribe_judgement AS j
UNION ALL
SELECT l.person_id, l.released_at, 'release', 'salesforce', 'RELEASED',
       concat('Salesforce may be written again: ', l.links, ' of the links were released.'), NULL,
       'opt_out_sync.link_release', l.id
FROM opt_out_sync.link_release AS l
UNION ALL
SELECT i.person_id, i.intervened_at, 'push', 'salesforce', coalesce(i.code, 'WAITING'),
       CASE i.action WHEN 'retry' THEN 'Somebody asked for another push at once.'
            ELSE 'Somebody closed the push; every night still compares both sides.' END,
       NULL, 'opt_out_sync.push_intervention', i.id
FROM opt_out_sync.push_intervention AS i
UNION ALL
SELECT e.person_id, e.erased_at, 'erasure', 'store', 'ERASED',
       concat('The person was erased with all acts; ', e.opt_outs,
              ' of the opt-outs are kept as keyed hashes.'),
       NULL, 'opt_out_sync.erasure', e.id
FROM opt_out_sync.erasure AS e;
CREATE INDEX erasure_person ON opt_out_sync.erasure (person_id);
CREATE INDEX link_person ON opt_out_sync.link (person_id);

-- What somebody typed when they looked a person up (never the text itself), and by which login:
-- `looked_up_by` names who sat in front of a program that may serve many.
ALTER TABLE opt_out_sync.look_up
    ADD COLUMN wanted text CONSTRAINT look_up_wanted
        CHECK (wanted IN ('id', 'address', 'salesforce_id')),
    ADD COLUMN login text NOT NULL DEFAULT session_user;

-- Finds people by their id, by an address, or by a Salesforce Id (15 or 18 characters) that they have
-- or once had, and writes the look-up down, one row per person found. An id finds the erased, too.
CREATE FUNCTION opt_out_sync.look_up_people(wanted text, typed text, who text, why text)
RETURNS TABLE (
    person_id bigint, email text, salesforce_id text, is_opted_out boolean,
    opted_out_at timestamptz, origin text, erased_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    found bigint[];
BEGIN
    IF look_up_people.wanted = 'id' THEN
        found := ARRAY[CAST(typed AS bigint)];
    ELSIF look_up_people.wanted = 'address' THEN
        found := ARRAY(SELECT p.id FROM engagement.person AS p
                       WHERE lower(btrim(p.email)) = lower(btrim(typed))
                       ORDER BY p.id LIMIT 100);
    ELSE
        found := ARRAY(SELECT p.id FROM engagement.person AS p
                       WHERE engagement.record_key(p.salesforce_id) = engagement.record_key(typed)
                       UNION
                       SELECT a.person_id FROM opt_out_sync.merge_audit AS a
                       WHERE a.record_id = typed
                       ORDER BY 1 LIMIT 100);
    END IF;
    found := ARRAY(
        SELECT one.id FROM unnest(found) AS one (id)
        WHERE EXISTS (SELECT FROM engagement.person AS p WHERE p.id = one.id)
           OR EXISTS (SELECT FROM opt_out_sync.erasure AS e WHERE e.person_id = one.id)
           OR EXISTS (SELECT FROM opt_out_sync.merge_audit AS a WHERE a.person_id = one.id));
    INSERT INTO opt_out_sync.look_up (looked_up_by, reason, person_id, wanted)
    SELECT who, why, one.id, look_up_people.wanted
    FROM unnest(CASE WHEN found = '{}' THEN ARRAY[NULL::bigint] ELSE found END) AS one (id);
    RETURN QUERY
    SELECT one.id, p.email, p.salesforce_id, o.is_opted_out, o.opted_out_at, o.origin,
           (SELECT max(e.erased_at) FROM opt_out_sync.erasure AS e WHERE e.person_id = one.id)
    FROM unnest(found) AS one (id)
    LEFT JOIN engagement.person AS p ON p.id = one.id
    LEFT JOIN engagement.person_opt_out AS o ON o.person_id = one.id
    ORDER BY one.id;
END
$$;
REVOKE EXECUTE ON FUNCTION opt_out_sync.look_up_people FROM PUBLIC;

-- When each unsubscribe was captured, sent and seen, per field. Grain: one row per unsubscribe and
-- box (one without a box where no record is known); `recorded_at` is the column to choose a time by.
--  * to_salesforce: an act in the store. Its boxes: those of the present settings on living records,
--    and every other box in which it was confirmed.
--  * to_store: a box that was ticked in Salesforce, captured at the latest time at which it can have
--    been ticked, and not before the sync first saw the record.
CREATE VIEW opt_out_sync.v_compliance AS
WITH chosen AS MATERIALIZED (
    SELECT ARRAY(SELECT jsonb_array_elements_text(document -> 'synced_scopes')) AS scopes,
           (document ->> 'bounces_sync')::boolean AS with_bounces,
           CASE document ->> 'field_mode'
               WHEN 'email_opt_out' THEN ARRAY['HasOptedOutOfEmail']
               WHEN 'sales_opt_out' THEN ARRAY[document ->> 'sales_opt_out_field']
               ELSE ARRAY['HasOptedOutOfEmail', document ->> 'sales_opt_out_field']
           END AS fields
    FROM opt_out_sync.settings_version
    ORDER BY version DESC
    LIMIT 1
)
SELECT u.id AS act_id,
       u.person_id,
       'to_salesforce' AS direction,
       u.origin,
       u.scope,
       box.object,
       box.record_id,
       box.field,
       u.recorded_at,
       u.recorded_at AS captured_at,
       box.pushed_at,
       box.verified_at,
       u.scope = ANY (chosen.scopes) AND (chosen.with_bounces OR u.origin <> 'Bounce') AS is_synced,
       box.verified_at IS NOT NULL OR EXISTS (
           SELECT FROM engagement.standing_opt_out AS s
           WHERE s.person_id = u.person_id AND s.act_id = u.id
       ) AS stands,
       CASE WHEN box.verified_at IS NOT NULL THEN NULL
            WHEN unlinked.code IS NOT NULL THEN unlinked.code
            WHEN coalesce(btrim(p.salesforce_id), '') = '' THEN 'NO_SALESFORCE_ID'
       END AS unreachable
FROM engagement.unsubscribe AS u
CROSS JOIN chosen
JOIN engagement.person AS p ON p.id = u.person_id
LEFT JOIN opt_out_sync.unlinked_person AS unlinked ON unlinked.person_id = u.person_id
LEFT JOIN LATERAL (
    SELECT l.object, l.record_id, l.field, least(written.pushed_at, written.confirmed_at) AS pushed_at,
           least(written.confirmed_at, seen.at,
                 CASE WHEN l.base THEN greatest(l.base_since, u.recorded_at) END) AS verified_at
    FROM opt_out_sync.link AS l
    CROSS JOIN LATERAL (
        SELECT min(w.attempted_at) FILTER (WHERE w.outcome = 'applied') AS pushed_at,
               min(w.attempted_at) FILTER (WHERE w.outcome = 'confirmed') AS confirmed_at
        FROM opt_out_sync.write_attempt AS w
        WHERE w.record_id = l.record_id AND w.field = l.field AND w.side = 'salesforce'
          AND w.target AND w.outcome IN ('applied', 'confirmed')
          AND w.attempted_at >= u.recorded_at
    ) AS written
    CROSS JOIN LATERAL (
        SELECT min(a.decided_at) AS at
        FROM opt_out_sync.merge_audit AS a
        WHERE a.person_id = u.person_id AND a.record_id = l.record_id AND a.field = l.field
          AND a.salesforce_is_opted_out
          AND a.decided_at >= u.recorded_at
    ) AS seen
    WHERE l.person_id = u.person_id
      AND (written.confirmed_at IS NOT NULL
           OR (l.state = 'active' AND (l.field = ANY (chosen.fields) OR l.base)))
) AS box ON true
WHERE u.kind = 'unsubscribe' AND u.origin <> 'Salesforce Sync'
UNION ALL
SELECT u.id, u.person_id, 'to_store', u.origin, u.scope,
       CASE WHEN cause.record_id LIKE '00Q%' THEN 'Lead' ELSE 'Contact' END,
       cause.record_id, cause.field, u.recorded_at,
       least(u.recorded_at, greatest(coalesce(cause.at, u.occurred_at), known.first_seen_at)),
       u.recorded_at, u.recorded_at, true, true, NULL
FROM engagement.unsubscribe AS u
CROSS JOIN LATERAL (
    SELECT split_part(u.caused_by, ':', 2) AS record_id,
           split_part(split_part(u.caused_by, ':', 3), '@', 1) AS field,
           CAST(nullif(split_part(u.caused_by, '@', 2), '') AS timestamptz) AS at
) AS cause
LEFT JOIN LATERAL (
    SELECT min(l.first_seen_at) AS first_seen_at
    FROM opt_out_sync.link AS l
    WHERE l.person_id = u.person_id AND l.record_id = cause.record_id AND l.field = cause.field
) AS known ON true
WHERE u.kind = 'unsubscribe' AND u.origin = 'Salesforce Sync' AND starts_with(u.caused_by, 'salesforce:');
CREATE INDEX unsubscribe_recorded ON engagement.unsubscribe (recorded_at) WHERE kind = 'unsubscribe';

-- As in 0006. It reads the months since the last night, not all of them, and works deadlines out by
-- day: after a long pause a hundred thousand people wait.
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
    SELECT least(night.id, min(r.id)) AS id,
           -- workers' clocks differ, by less than a day
           least(night.started_at, min(r.started_at)) - interval '1 day' AS since
    FROM last_night AS night
    LEFT JOIN opt_out_sync.sync_run AS r
        ON r.kind = 'push' AND coalesce(r.closed_at, r.lease_expires_at) >= night.started_at
    GROUP BY night.id, night.started_at
), newest AS (
    SELECT DISTINCT ON (w.org_id, w.person_id, w.record_id, w.field, w.side) w.*
    FROM opt_out_sync.write_attempt AS w
    WHERE w.attempted_at >= (SELECT since FROM first_run)
      AND w.sync_run_id >= (SELECT id FROM first_run)
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
), deadline AS MATERIALIZED (
    -- by how many days ago: the first is today's
    SELECT today.day, ARRAY(
               SELECT opt_out_sync.business_days_after(
                          (today.day - ago)::timestamp AT TIME ZONE 'America/Los_Angeles', 10)
               FROM generate_series(0, 400) AS ago
           ) AS due_at
    FROM (SELECT (now() AT TIME ZONE 'America/Los_Angeles')::date AS day) AS today
)
SELECT f.org_id,
       f.person_id,
       f.record_id,
       f.object,
       f.field,
       f.side,
       f.target,
       f.failure_class,
       f.code,
       f.fix,
       f.first_failed_at,
       f.last_failed_at,
       coalesce(f.last_failed_at, now()) - f.first_failed_at AS failing_for,
       f.sync_run_id,
       f.since AS opted_out_at,
       now() - f.since AS age,
       now() - f.since > interval '48 hours' AS is_past_48_hours,
       due.at AS due_at,
       now() >= due.at AS is_past_10_business_days,
       f.attempts,
       f.next_attempt_at
FROM open_failure AS f
CROSS JOIN deadline AS d
CROSS JOIN LATERAL (
    SELECT coalesce(d.due_at[1 + d.day - (f.since AT TIME ZONE 'America/Los_Angeles')::date],
                    opt_out_sync.business_days_after(f.since, 10)) AS at
) AS due
ORDER BY f.since, f.person_id, f.record_id;

-- What a page of the audit is found by. Sorting by time, and by time within a code or a record, reads
-- only what is shown; a run's rows and a person's have their indexes already.
CREATE INDEX merge_audit_newest ON opt_out_sync.merge_audit (decided_at, id);
CREATE INDEX merge_audit_code ON opt_out_sync.merge_audit (code, decided_at, id);
CREATE INDEX merge_audit_record ON opt_out_sync.merge_audit (record_id, decided_at, id);
CREATE INDEX write_attempt_newest ON opt_out_sync.write_attempt (attempted_at, id);
CREATE INDEX write_attempt_failed ON opt_out_sync.write_attempt (code, attempted_at, id)
    WHERE code IS NOT NULL;
CREATE INDEX sync_run_kind ON opt_out_sync.sync_run (kind, started_at);

-- Which revision the database has, is a line of the checklist.
GRANT SELECT ON opt_out_sync.opt_out_alembic_version TO opt_out_admin, opt_out_sync_writer;
GRANT SELECT ON opt_out_sync.v_night_report, opt_out_sync.v_compliance
    TO opt_out_analyst, opt_out_admin;
GRANT SELECT (erased_at, opt_outs) ON opt_out_sync.erasure TO opt_out_analyst;
GRANT SELECT ON opt_out_sync.push_intervention, opt_out_sync.night_tally TO opt_out_admin;
GRANT EXECUTE ON FUNCTION opt_out_sync.retry_push, opt_out_sync.give_up_push TO opt_out_admin;
GRANT EXECUTE ON FUNCTION opt_out_sync.look_up_people TO opt_out_support;
