-- Nights that can be trusted: stopped anywhere, run again, asked about later.

-- field, rows: what an ingest job was to write, so that a step which starts again can tell whether
-- the results of the job that it finds are all there. settled_at: its results are recorded, or were
-- not worth believing; nobody looks for it any more.
ALTER TABLE opt_out_sync.salesforce_job
    ADD COLUMN field text NOT NULL DEFAULT '',
    ADD COLUMN rows integer,
    ADD COLUMN settled_at timestamptz;
UPDATE opt_out_sync.salesforce_job SET settled_at = coalesce(finished_at, now());
-- What is looked for when a step starts; nearly all jobs are settled.
CREATE INDEX salesforce_job_unsettled ON opt_out_sync.salesforce_job (object, operation)
    WHERE settled_at IS NULL;

-- Nights in which nobody was compared, from the first closed one on: each with the next night that
-- closed and so covered it, null until there is one. Grain: one row per missed night.
CREATE VIEW opt_out_sync.v_missed_night AS
WITH closed AS (
    SELECT night, min(closed_at) AS closed_at
    FROM opt_out_sync.sync_run
    WHERE kind = 'night' AND state = 'closed'
    GROUP BY night
), due AS (
    SELECT day::date AS night
    FROM generate_series(
             (SELECT min(night) FROM closed)::timestamp,
             -- tonight's is not missed before its hour has passed
             date_trunc('day', (now() - interval '20 hours') AT TIME ZONE 'America/Los_Angeles'),
             interval '1 day'
         ) AS day
)
SELECT due.night,
       later.night AS covered_by,
       later.closed_at AS covered_at
FROM due
LEFT JOIN closed ON closed.night = due.night
LEFT JOIN LATERAL (
    SELECT c.night, c.closed_at FROM closed AS c WHERE c.night > due.night
    ORDER BY c.night LIMIT 1
) AS later ON true
WHERE closed.night IS NULL
ORDER BY due.night DESC;

-- The opt-outs of a person that stood at a moment, by what the store knew then: `standing_opt_out`
-- without what was recorded later. Grain: one row per unsubscribe, of every scope.
CREATE FUNCTION engagement.opt_outs_at(person_id bigint, moment timestamptz)
RETURNS TABLE (act_id bigint, at timestamptz, scope text, origin text, caused_by text)
LANGUAGE sql STABLE AS $$
    SELECT u.id,
           CASE WHEN u.origin <> 'Salesforce Sync' THEN least(u.occurred_at, u.recorded_at)
                ELSE coalesce(
                    least(cause.occurred_at, cause.recorded_at),
                    CAST(nullif(split_part(u.caused_by, '@', 2), '') AS timestamptz),
                    u.occurred_at)
           END,
           u.scope,
           u.origin,
           u.caused_by
    FROM engagement.unsubscribe AS u
    LEFT JOIN engagement.unsubscribe AS cause
        ON u.origin = 'Salesforce Sync'
       AND cause.id = CASE WHEN starts_with(u.caused_by, 'act:')
                           THEN CAST(substr(u.caused_by, 5) AS bigint) END
    WHERE u.person_id = opt_outs_at.person_id
      AND u.kind = 'unsubscribe'
      AND u.recorded_at <= opt_outs_at.moment
      AND NOT EXISTS (
          SELECT FROM engagement.clear AS c
          WHERE c.person_id = u.person_id
            AND c.recorded_at <= opt_outs_at.moment
            AND CASE
                    WHEN u.origin = 'Salesforce Sync' THEN u.occurred_at <= c.recorded_at
                    WHEN c.is_own AND c.is_evidence THEN engagement.resubscribe_ends(
                        u.origin, least(u.occurred_at, u.recorded_at), u.id,
                        c.at, c.act_id, c.is_evidence, c.is_by_person)
                    ELSE u.id = ANY (c.ends) AND engagement.change_ends(u.origin)
                END
      )
$$;

-- What was true of a person at a moment, on both sides, each with the row that says so.
--  * Store: one row per opt-out that stood then; one row that says "not opted out" if none did.
--  * Salesforce: one row per record and field: what was last read or written there, and confirmed,
--    before that moment. A box that was read later, and is known to have been ticked before that
--    moment, was ticked. Nothing known: null. Runs tell only what differed or changed: in between,
--    a value is the one that was told last.
-- Reads with its owner's rights and shows no address and no typed text.
CREATE FUNCTION opt_out_sync.opt_out_at(person_id bigint, moment timestamptz)
RETURNS TABLE (
    side         text,
    object       text,
    record_id    text,
    field        text,
    is_opted_out boolean,
    since        timestamptz,
    scope        text,
    source       text,
    source_id    bigint,
    sync_run_id  bigint,
    detail       text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH stood AS (
        SELECT * FROM engagement.opt_outs_at(opt_out_at.person_id, opt_out_at.moment)
    ), ended AS (
        SELECT u.id, u.recorded_at
        FROM engagement.unsubscribe AS u
        WHERE u.person_id = opt_out_at.person_id
          AND u.recorded_at <= opt_out_at.moment
          AND u.kind = 'resubscribe' AND u.origin = 'Salesforce Sync'
        ORDER BY u.id DESC
        LIMIT 1
    ), told AS (
        SELECT a.object, a.record_id, a.field, a.salesforce_is_opted_out AS is_opted_out,
               a.decided_at AS at, 'opt_out_sync.merge_audit' AS source, a.id, a.sync_run_id,
               a.code AS detail
        FROM opt_out_sync.merge_audit AS a
        WHERE a.person_id = opt_out_at.person_id AND a.record_id IS NOT NULL
          AND a.salesforce_is_opted_out IS NOT NULL
          AND a.decided_at <= opt_out_at.moment
        UNION ALL
        SELECT w.object, w.record_id, w.field, w.target, w.attempted_at,
               'opt_out_sync.write_attempt', w.id, w.sync_run_id, w.outcome
        FROM opt_out_sync.write_attempt AS w
        WHERE w.person_id = opt_out_at.person_id AND w.side = 'salesforce'
          AND w.outcome IN ('applied', 'confirmed')
          AND w.attempted_at <= opt_out_at.moment
    ), found_later AS (
        SELECT a.object, a.record_id, a.field, true AS is_opted_out,
               a.salesforce_opted_out_before AS at, 'opt_out_sync.merge_audit' AS source, a.id,
               a.sync_run_id, 'read later: ' || a.code AS detail
        FROM opt_out_sync.merge_audit AS a
        WHERE a.person_id = opt_out_at.person_id AND a.record_id IS NOT NULL
          AND a.salesforce_is_opted_out
          AND a.decided_at > opt_out_at.moment
          AND a.salesforce_opted_out_before <= opt_out_at.moment
    ), newest AS (
        SELECT DISTINCT ON (record_id, field) *
        FROM (SELECT * FROM told UNION ALL SELECT * FROM found_later) AS either
        ORDER BY record_id, field, at DESC, id DESC
    )
    SELECT 'store', NULL::text, NULL::text, NULL::text, true, stood.at, stood.scope,
           'engagement.unsubscribe', stood.act_id, NULL::bigint,
           concat(stood.origin, ' ' || stood.caused_by)
    FROM stood
    UNION ALL
    SELECT 'store', NULL, NULL, NULL, false, ended.recorded_at, NULL,
           'engagement.unsubscribe', ended.id, NULL,
           CASE WHEN ended.id IS NULL THEN 'No unsubscribe stood.' ELSE 'An accepted consent.' END
    FROM (VALUES (true)) AS always (is_row)
    LEFT JOIN ended ON true
    WHERE NOT EXISTS (SELECT FROM stood)
      AND EXISTS (SELECT FROM engagement.person AS p WHERE p.id = opt_out_at.person_id)
    UNION ALL
    SELECT 'salesforce', newest.object, newest.record_id, newest.field, newest.is_opted_out,
           newest.at, NULL, newest.source, newest.id, newest.sync_run_id, newest.detail
    FROM newest
    ORDER BY 1 DESC, 3, 4, 6, 9
$$;
REVOKE EXECUTE ON FUNCTION engagement.opt_outs_at, opt_out_sync.opt_out_at FROM PUBLIC;

-- Erasure. What is left of a person who opted out is a keyed hash of the address: it names nobody,
-- and tells the same address when it is imported again. The two keys never leave the database, and
-- only its owner may read them: without them a hash cannot be tried against a list of addresses.
CREATE TABLE engagement.erasure_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    inner_key bytea NOT NULL CHECK (length(inner_key) = 64),
    outer_key bytea NOT NULL CHECK (length(outer_key) = 64)
);
INSERT INTO engagement.erasure_key (inner_key, outer_key)
SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
           || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
       uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
           || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

CREATE TABLE engagement.erased_opt_out (
    address_hash bytea NOT NULL,
    scope        text NOT NULL,
    origin       text NOT NULL,
    opted_out_at timestamptz NOT NULL,
    erased_at    timestamptz NOT NULL,
    PRIMARY KEY (address_hash, scope, origin)
);

-- Two nested hashes with a key each (NMAC): PostgreSQL has SHA-256 without an extension, but no
-- HMAC. Upper and lower case, and white space around it, do not make another address.
CREATE FUNCTION engagement.address_hash(email text) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(k.outer_key || sha256(k.inner_key || convert_to(lower(btrim(email)), 'UTF8')))
    FROM engagement.erasure_key AS k
$$;

-- Whoever comes with the address of an erased person who had opted out starts opted out: for the
-- same scope, and as hard to undo.
CREATE FUNCTION engagement.restore_opt_outs_of(person_id bigint, email text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO engagement.unsubscribe
        (person_id, kind, scope, origin, reason, occurred_at, idempotency_key)
    SELECT restore_opt_outs_of.person_id, 'unsubscribe', e.scope, e.origin,
           'This address had opted out before its person was erased.', e.opted_out_at,
           concat_ws('/', 'erased', restore_opt_outs_of.person_id, encode(e.address_hash, 'hex'),
                     e.scope, e.origin)
    FROM engagement.erased_opt_out AS e
    WHERE e.address_hash = engagement.address_hash(restore_opt_outs_of.email)
    ON CONFLICT (idempotency_key) DO NOTHING
$$;
-- An import of a million people costs nothing here while nobody was ever erased.
CREATE FUNCTION engagement.restore_imported() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM engagement.erased_opt_out) THEN
        PERFORM engagement.restore_opt_outs_of(added.id, added.email) FROM added;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION engagement.restore_renamed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM engagement.restore_opt_outs_of(NEW.id, NEW.email);
    RETURN NULL;
END
$$;
CREATE TRIGGER person_starts_opted_out AFTER INSERT ON engagement.person
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION engagement.restore_imported();
CREATE TRIGGER person_stays_opted_out AFTER UPDATE OF email ON engagement.person
    FOR EACH ROW WHEN (NEW.email IS DISTINCT FROM OLD.email)
    EXECUTE FUNCTION engagement.restore_renamed();

-- Insert-only: who was erased, by number; no address.
CREATE TABLE opt_out_sync.erasure (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    erased_by text NOT NULL,
    note      text NOT NULL,
    person_id bigint NOT NULL,
    opt_outs  integer NOT NULL
);
CREATE TRIGGER erasure_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.erasure
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER erasure_no_truncate BEFORE TRUNCATE ON opt_out_sync.erasure
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();

-- Erases a person with all acts, and keeps what stood of them as keyed hashes. Returns how many
-- opt-outs were kept; null when there is no such person. Audit rows stay: they name numbers and
-- Salesforce Ids, and prove that the opt-out was carried over. Salesforce stays opted out.
CREATE FUNCTION engagement.erase_person(
    person_id bigint, erased_by text, note text, erased_at timestamptz
) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    address text;
    kept integer;
BEGIN
    SELECT p.email INTO address
    FROM engagement.person AS p WHERE p.id = erase_person.person_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO engagement.erased_opt_out AS e
        (address_hash, scope, origin, opted_out_at, erased_at)
    SELECT engagement.address_hash(address), s.scope,
           CASE s.origin WHEN 'Salesforce Sync' THEN 'Import' ELSE s.origin END,
           max(s.at), erase_person.erased_at
    FROM engagement.standing_opt_out AS s
    WHERE s.person_id = erase_person.person_id
    GROUP BY 2, 3
    ON CONFLICT (address_hash, scope, origin) DO UPDATE
        SET opted_out_at = greatest(e.opted_out_at, excluded.opted_out_at),
            erased_at = excluded.erased_at;
    GET DIAGNOSTICS kept = ROW_COUNT;
    DELETE FROM opt_out_sync.push_signal AS s WHERE s.person_id = erase_person.person_id;
    DELETE FROM opt_out_sync.push_outbox AS o WHERE o.person_id = erase_person.person_id;
    DELETE FROM opt_out_sync.unlinked_person AS u WHERE u.person_id = erase_person.person_id;
    DELETE FROM engagement.person AS p WHERE p.id = erase_person.person_id;
    INSERT INTO opt_out_sync.erasure (erased_at, erased_by, note, person_id, opt_outs)
    VALUES (erase_person.erased_at, erase_person.erased_by, erase_person.note,
            erase_person.person_id, kept);
    RETURN kept;
END
$$;
REVOKE EXECUTE ON FUNCTION
    engagement.address_hash, engagement.restore_opt_outs_of, engagement.restore_imported,
    engagement.restore_renamed, engagement.erase_person
    FROM PUBLIC;

-- Support looks people up by id or address. Each look-up is a row: who, whom, why.
CREATE TABLE opt_out_sync.look_up (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    looked_up_at timestamptz NOT NULL DEFAULT now(),
    looked_up_by text NOT NULL DEFAULT session_user,
    reason       text NOT NULL CHECK (btrim(reason) <> ''),
    person_id    bigint
);
CREATE TRIGGER look_up_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.look_up
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER look_up_no_truncate BEFORE TRUNCATE ON opt_out_sync.look_up
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();

-- Shows a person with the address, and whether they are opted out. A look-up that finds nobody is
-- written down, too; the address that was asked for never is.
CREATE FUNCTION opt_out_sync.look_up_person(wanted_id bigint, wanted_address text, why text)
RETURNS TABLE (
    person_id bigint, email text, salesforce_id text, is_opted_out boolean,
    opted_out_at timestamptz, origin text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    found bigint[];
BEGIN
    SELECT array_agg(p.id ORDER BY p.id) INTO found
    FROM engagement.person AS p
    WHERE p.id = wanted_id
       OR lower(btrim(p.email)) = lower(btrim(wanted_address));
    INSERT INTO opt_out_sync.look_up (reason, person_id)
    SELECT why, one.id
    FROM unnest(coalesce(found, ARRAY[NULL::bigint])) AS one (id);
    RETURN QUERY
    SELECT p.id, p.email, p.salesforce_id, o.is_opted_out, o.opted_out_at, o.origin
    FROM engagement.person AS p
    JOIN engagement.person_opt_out AS o ON o.person_id = p.id
    WHERE p.id = ANY (found)
    ORDER BY p.id;
END
$$;
REVOKE EXECUTE ON FUNCTION opt_out_sync.look_up_person FROM PUBLIC;
CREATE INDEX person_address ON engagement.person (lower(btrim(email)));

-- The roles belong to the whole server: see 0003.
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
SELECT pg_temp.create_role('opt_out_support');
DROP FUNCTION pg_temp.create_role (text);

GRANT SELECT ON opt_out_sync.v_missed_night TO opt_out_analyst, opt_out_admin, opt_out_sync_writer;
GRANT EXECUTE ON FUNCTION opt_out_sync.opt_out_at TO opt_out_analyst, opt_out_admin, opt_out_support;
GRANT EXECUTE ON FUNCTION engagement.erase_person TO opt_out_admin;
GRANT SELECT ON opt_out_sync.erasure, opt_out_sync.look_up TO opt_out_admin;
GRANT USAGE ON SCHEMA engagement TO opt_out_admin;
GRANT USAGE ON SCHEMA opt_out_sync TO opt_out_support;
GRANT EXECUTE ON FUNCTION opt_out_sync.look_up_person TO opt_out_support;
GRANT SELECT ON
    opt_out_sync.v_person_timeline, opt_out_sync.v_resubscribe, opt_out_sync.v_open_failures
    TO opt_out_support;

-- What somebody was told, so that the same thing is told once a day and not every 15 minutes.
CREATE TABLE opt_out_sync.alert (
    key      text PRIMARY KEY,
    kind     text NOT NULL,
    since    timestamptz NOT NULL,
    told_at  timestamptz NOT NULL,
    ended_at timestamptz
);

-- What somebody should know now. Grain: one row per thing; `key` stays the same while it lasts.
-- `sentence` names numbers, never a person.
CREATE FUNCTION opt_out_sync.alerts_due(moment timestamptz)
RETURNS TABLE (key text, kind text, since timestamptz, sentence text)
LANGUAGE sql STABLE AS $$
    WITH chosen AS (
        SELECT (document ->> 'enabled')::boolean AND NOT (document ->> 'paused')::boolean AS is_on
        FROM opt_out_sync.settings_version ORDER BY version DESC LIMIT 1
    ), switched_on AS (
        SELECT max(v.saved_at) AS at
        FROM (
            SELECT saved_at,
                   (document ->> 'enabled')::boolean AND NOT (document ->> 'paused')::boolean
                       AS is_on,
                   lag((document ->> 'enabled')::boolean AND NOT (document ->> 'paused')::boolean)
                       OVER (ORDER BY version) AS was_on
            FROM opt_out_sync.settings_version
        ) AS v
        WHERE v.is_on AND v.was_on IS NOT TRUE
    ), last_closed AS (
        SELECT max(closed_at) AS at
        FROM opt_out_sync.sync_run WHERE kind = 'night' AND state = 'closed'
    ), newest AS (
        SELECT id, night, state, reason, started_at, closed_at
        FROM opt_out_sync.sync_run
        WHERE kind = 'night' AND NOT plan_only AND state NOT IN ('superseded', 'skipped')
        ORDER BY id DESC LIMIT 1
    )
    SELECT 'absence', 'absence', greatest(last_closed.at, switched_on.at),
           'No night has closed for 26 hours: look at the DAG unsubscribe_nightly_sync and at the '
           'scheduler.'
    FROM chosen, switched_on, last_closed
    WHERE chosen.is_on
      AND greatest(last_closed.at, switched_on.at) < alerts_due.moment - interval '26 hours'
    UNION ALL
    SELECT 'night/' || newest.id, CASE newest.state WHEN 'failed' THEN 'failed' ELSE 'red' END,
           newest.closed_at, format('The night of %s: %s', newest.night, newest.reason)
    FROM newest
    WHERE newest.state = 'failed' OR (newest.state = 'closed' AND newest.reason IS NOT NULL)
    UNION ALL
    SELECT 'slow/' || newest.id, 'slow', newest.started_at,
           format('The night of %s is still running after two hours.', newest.night)
    FROM newest
    WHERE newest.state = 'open' AND newest.started_at < alerts_due.moment - interval '2 hours'
    UNION ALL
    SELECT 'parked', 'parked', min(o.marked_at),
           format('%s people have waited for a push for more than 24 hours: '
                  'opt_out_sync.v_open_failures lists each with its fix.', count(*))
    FROM opt_out_sync.push_outbox AS o
    WHERE o.state <> 'closed' AND o.marked_at < alerts_due.moment - interval '24 hours'
    HAVING count(*) > 0
    UNION ALL
    SELECT 'brake/' || max(h.held_run_id), 'brake', min(h.held_at),
           format('%s clears wait for a person: answer the question of DAG '
                  'unsubscribe_held_clears.', count(*))
    FROM opt_out_sync.held_clear AS h
    WHERE h.resolution IS NULL
    HAVING count(*) > 0
$$;
REVOKE EXECUTE ON FUNCTION opt_out_sync.alerts_due FROM PUBLIC;
GRANT EXECUTE ON FUNCTION opt_out_sync.alerts_due TO opt_out_sync_writer, opt_out_admin;
GRANT SELECT, INSERT, UPDATE ON opt_out_sync.alert TO opt_out_sync_writer;
GRANT SELECT ON opt_out_sync.alert TO opt_out_admin, opt_out_analyst;
