-- Accepted evidence ends an opt-out: who stands opted out, and what ends that.

-- Clears are few; looking for those of a person reads only them.
CREATE INDEX unsubscribe_clear ON engagement.unsubscribe (person_id)
    WHERE kind = 'resubscribe' AND origin = 'Salesforce Sync';
-- Resubscribes are few, too, and most acts are none.
CREATE INDEX unsubscribe_resubscribe ON engagement.unsubscribe (person_id)
    WHERE kind = 'resubscribe';
-- The first 15 characters of an Id name the record; people who share one are a group.
CREATE INDEX person_salesforce_record ON engagement.person (left(salesforce_id, 15))
    WHERE salesforce_id IS NOT NULL;

DROP VIEW engagement.person_opt_out;
DROP FUNCTION engagement.person_states (text[], boolean);
DROP FUNCTION engagement.record_act (bigint, text, text, text, text, text, text, timestamptz, text);

-- One row per clear: an act of the sync that ends opt-outs of its person. It names what it carries:
-- a resubscribe (`act_id`, its time and whether it is evidence and the person's own opt-in), or a
-- box that was cleared in Salesforce (`act_id` null).
CREATE VIEW engagement.clear AS
SELECT c.id AS clear_id,
       c.person_id,
       c.recorded_at,
       e.id AS act_id,
       least(e.occurred_at, e.recorded_at) AS at,
       e.person_id = c.person_id AS is_own,
       coalesce(e.reason, '') <> '' AND coalesce(e.actor, '') <> ''
           AND coalesce(e.evidence_ref, '') <> '' AS is_evidence,
       coalesce(e.origin IN ('Clicked Link', 'One-Click'), false) AS is_own_opt_in
FROM engagement.unsubscribe AS c
LEFT JOIN engagement.unsubscribe AS e
    ON e.id = CAST(substring(c.caused_by FROM '^act:([0-9]+)$') AS bigint)
WHERE c.kind = 'resubscribe' AND c.origin = 'Salesforce Sync';

-- One row per unsubscribe, of every scope, that no clear has ended. `at` is when it happened; for
-- one that the sync wrote, the latest time at which its cause can have happened.
--  * What the sync wrote ends with every clear recorded after the reading that it comes from began.
--  * Anything else ends with the person's own resubscribe if that is newer, by time and then by id.
--    What the person did themselves ends only with evidence, a complaint only with an opt-in of
--    their own. A box cleared in Salesforce (rule changed_side) ends none of these.
CREATE VIEW engagement.standing_opt_out AS
SELECT u.id AS act_id,
       u.person_id,
       CASE WHEN u.origin <> 'Salesforce Sync' THEN least(u.occurred_at, u.recorded_at)
            ELSE coalesce(
                least(cause.occurred_at, cause.recorded_at),
                CAST(substring(u.caused_by FROM '@(.*)$') AS timestamptz),
                u.occurred_at)
       END AS at,
       u.scope,
       u.origin,
       CASE WHEN u.origin = 'Salesforce Sync' THEN u.caused_by END AS caused_by,
       u.recorded_at
FROM engagement.unsubscribe AS u
LEFT JOIN engagement.unsubscribe AS cause
    ON u.origin = 'Salesforce Sync'
   AND cause.id = CAST(substring(u.caused_by FROM '^act:([0-9]+)$') AS bigint)
WHERE u.kind = 'unsubscribe'
  AND NOT EXISTS (
      SELECT FROM engagement.clear AS c
      WHERE c.person_id = u.person_id
        AND CASE
                WHEN u.origin = 'Salesforce Sync' THEN u.occurred_at <= c.recorded_at
                WHEN c.act_id IS NULL THEN
                    u.id < c.clear_id AND u.origin NOT IN ('Clicked Link', 'One-Click', 'Complaint')
                ELSE c.is_own
                     AND (least(u.occurred_at, u.recorded_at), u.id) < (c.at, c.act_id)
                     AND CASE u.origin
                             WHEN 'Complaint' THEN c.is_evidence AND c.is_own_opt_in
                             WHEN 'Clicked Link' THEN c.is_evidence
                             WHEN 'One-Click' THEN c.is_evidence
                             ELSE true
                         END
            END
  );

-- One row per person, everybody: the newest opt-out in scope that stands, if any.
CREATE FUNCTION engagement.person_states(scopes text[], with_bounces boolean)
RETURNS TABLE (
    person_id     bigint,
    salesforce_id text,
    is_opted_out  boolean,
    opted_out_at  timestamptz,
    act_id        bigint,
    origin        text
)
LANGUAGE sql STABLE AS $$
    SELECT p.id, p.salesforce_id, newest.act_id IS NOT NULL, newest.at, newest.act_id, newest.origin
    FROM engagement.person AS p
    LEFT JOIN (
        SELECT DISTINCT ON (s.person_id) s.person_id, s.at, s.act_id, s.origin
        FROM engagement.standing_opt_out AS s
        WHERE s.scope = ANY (scopes) AND (with_bounces OR s.origin <> 'Bounce')
        ORDER BY s.person_id, s.at DESC, s.act_id DESC
    ) AS newest ON newest.person_id = p.id
$$;

-- The same of some people, reading only them. Who does not exist has no row.
CREATE FUNCTION engagement.states_of(person_ids bigint[], scopes text[], with_bounces boolean)
RETURNS TABLE (
    person_id     bigint,
    salesforce_id text,
    is_opted_out  boolean,
    opted_out_at  timestamptz,
    act_id        bigint,
    origin        text
)
LANGUAGE sql STABLE AS $$
    SELECT p.id, p.salesforce_id, newest.act_id IS NOT NULL, newest.at, newest.act_id, newest.origin
    FROM engagement.person AS p
    LEFT JOIN LATERAL (
        SELECT s.at, s.act_id, s.origin
        FROM engagement.standing_opt_out AS s
        WHERE s.person_id = p.id
          AND s.scope = ANY (scopes) AND (with_bounces OR s.origin <> 'Bounce')
        ORDER BY s.at DESC, s.act_id DESC
        LIMIT 1
    ) AS newest ON true
    WHERE p.id = ANY (person_ids)
$$;

-- The list to check before sending: person_states(ARRAY['team'], false), written so that looking up
-- a few people reads only them. It reads with its owner's rights: SELECT on it is enough.
CREATE VIEW engagement.person_opt_out AS
    SELECT p.id AS person_id,
           p.salesforce_id,
           newest.act_id IS NOT NULL AS is_opted_out,
           newest.at AS opted_out_at,
           newest.act_id,
           newest.origin
    FROM engagement.person AS p
    LEFT JOIN LATERAL (
        SELECT s.at, s.act_id, s.origin
        FROM engagement.standing_opt_out AS s
        WHERE s.person_id = p.id AND s.scope = 'team' AND s.origin <> 'Bounce'
        ORDER BY s.at DESC, s.act_id DESC
        LIMIT 1
    ) AS newest ON true;

-- What a run may still have to judge. One row per resubscribe: each person's newest accepted one
-- (a clear names it), all evidence that is not accepted, and a resubscribe without evidence if it is
-- newer than everything that still holds its person opted out (it counts under changed_side).
CREATE VIEW engagement.open_resubscribe AS
WITH own AS NOT MATERIALIZED (
    SELECT r.id AS act_id,
           r.person_id,
           least(r.occurred_at, r.recorded_at) AS at,
           r.recorded_at,
           r.origin,
           coalesce(r.reason, '') <> '' AND coalesce(r.actor, '') <> ''
               AND coalesce(r.evidence_ref, '') <> '' AS is_evidence,
           EXISTS (
               SELECT FROM engagement.clear AS c
               WHERE c.person_id = r.person_id AND c.act_id = r.id
           ) AS is_accepted
    FROM engagement.unsubscribe AS r
    WHERE r.kind = 'resubscribe' AND r.origin <> 'Salesforce Sync'
)
SELECT accepted.act_id, accepted.person_id, accepted.at, accepted.recorded_at, accepted.origin,
       accepted.is_evidence, accepted.is_accepted
FROM (
    SELECT DISTINCT ON (person_id) *
    FROM own
    WHERE is_accepted
    ORDER BY person_id, at DESC, act_id DESC
) AS accepted
UNION ALL
SELECT own.act_id, own.person_id, own.at, own.recorded_at, own.origin, own.is_evidence,
       own.is_accepted
FROM own
WHERE NOT own.is_accepted
  AND (own.is_evidence OR (
      EXISTS (
          SELECT FROM engagement.standing_opt_out AS s WHERE s.person_id = own.person_id
      ) AND NOT EXISTS (
          SELECT FROM engagement.standing_opt_out AS s
          WHERE s.person_id = own.person_id AND (s.at, s.act_id) > (own.at, own.act_id)
      )
  ));

-- Adds one act and returns its id. Repeating the call with its key adds nothing and returns the
-- same id; null when the person is gone. A key that names another act is refused, and so is an act
-- of the sync that does not name its cause: `act:<id>`, or `salesforce:<record>:<field>[@<time>]`.
-- Runs with its owner's rights, so whoever may call it needs none on the tables.
CREATE FUNCTION engagement.record_act(
    person_id       bigint,
    kind            text,
    scope           text,
    origin          text,
    reason          text,
    actor           text,
    approver        text,
    evidence_ref    text,
    caused_by       text,
    occurred_at     timestamptz,
    idempotency_key text
) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    act engagement.unsubscribe;
BEGIN
    IF record_act.origin = 'Salesforce Sync' AND coalesce(record_act.caused_by, '') !~
       '^(act:[0-9]{1,18}|salesforce:[0-9A-Za-z]{18}:[0-9A-Za-z_]+(@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?)$'
    THEN
        RAISE EXCEPTION 'an act of the sync must name its cause: act:<id> or '
            'salesforce:<record>:<field>' USING ERRCODE = 'OS001';
    END IF;
    PERFORM FROM engagement.person AS p WHERE p.id = record_act.person_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO engagement.unsubscribe AS u
        (person_id, kind, scope, origin, reason, actor, approver, evidence_ref, caused_by,
         occurred_at, idempotency_key)
    VALUES (record_act.person_id, record_act.kind, record_act.scope, record_act.origin,
            record_act.reason, record_act.actor, record_act.approver, record_act.evidence_ref,
            record_act.caused_by, record_act.occurred_at, record_act.idempotency_key)
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING u.* INTO act;
    IF act.id IS NULL THEN
        SELECT u.* INTO act FROM engagement.unsubscribe AS u
        WHERE u.idempotency_key = record_act.idempotency_key;
    END IF;
    IF (act.person_id, act.kind) IS DISTINCT FROM (record_act.person_id, record_act.kind) THEN
        RAISE EXCEPTION 'this idempotency key already names another act' USING ERRCODE = 'OS001';
    END IF;
    RETURN act.id;
END
$$;

-- Lets nobody add an act for these people until the transaction ends. Always in the order of their
-- ids, so that nobody waits in a circle. Returns those who exist.
CREATE FUNCTION engagement.lock_people(person_ids bigint[]) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.id FROM engagement.person AS p
    WHERE p.id = ANY (person_ids)
    ORDER BY p.id
    FOR UPDATE
$$;

-- Corrects the Salesforce Id of a person whose record lives on as another one, if it still names
-- that record (the first 15 characters do). Returns whether it did; repeating changes nothing.
CREATE FUNCTION engagement.relink_person(
    person_id          bigint,
    from_salesforce_id text,
    to_salesforce_id   text
) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relink_person.to_salesforce_id !~ '^(003|00Q)[0-9A-Za-z]{15}$' THEN
        RAISE EXCEPTION 'a person is linked to a Contact or Lead by an Id of 18 characters'
            USING ERRCODE = 'OS001';
    END IF;
    UPDATE engagement.person AS p
    SET salesforce_id = relink_person.to_salesforce_id, updated_at = now()
    WHERE p.id = relink_person.person_id
      AND left(btrim(p.salesforce_id), 15) = left(relink_person.from_salesforce_id, 15);
    RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION
    engagement.record_act, engagement.lock_people, engagement.relink_person FROM PUBLIC;

-- People in charge of settings and evidence. The role belongs to the whole server: see 0003.
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
SELECT pg_temp.create_role('opt_out_admin');
DROP FUNCTION pg_temp.create_role (text);

GRANT SELECT ON engagement.clear, engagement.standing_opt_out, engagement.open_resubscribe
    TO opt_out_sync_writer;
GRANT EXECUTE ON FUNCTION
    engagement.person_states, engagement.states_of, engagement.record_act, engagement.lock_people,
    engagement.relink_person
    TO opt_out_sync_writer;
GRANT USAGE ON SCHEMA engagement TO opt_out_admin;
GRANT EXECUTE ON FUNCTION engagement.record_act, engagement.states_of TO opt_out_admin;
