-- Accepted evidence ends an opt-out: who stands opted out, and what ends that.

-- An act of the sync names what it carries: `act:<id>`, or `salesforce:<record>:<field>[@<time>]`
-- with the latest time, in UTC, at which that box can have been ticked. The views below read that,
-- so it must be readable. Checked without a regular expression: an import adds many acts.
ALTER TABLE engagement.unsubscribe DROP CONSTRAINT unsubscribe_sync_names_its_cause;
ALTER TABLE engagement.unsubscribe ADD CONSTRAINT unsubscribe_sync_names_its_cause CHECK (
    CASE
        WHEN origin <> 'Salesforce Sync' THEN true
        WHEN caused_by IS NULL THEN false
        WHEN starts_with(caused_by, 'act:') THEN CAST(substr(caused_by, 5) AS bigint) > 0
        WHEN strpos(caused_by, '@') = 0 THEN caused_by LIKE 'salesforce:__________________:_%'
        ELSE caused_by LIKE 'salesforce:__________________:_%@____-__-__T__:__:__Z'
             AND CAST(split_part(caused_by, '@', 2) AS timestamptz) IS NOT NULL
    END
) NOT VALID;

-- What a clear ends that carries no evidence, only a change (rule changed_side): exactly the acts
-- that its plan knew. Null for every other act.
ALTER TABLE engagement.unsubscribe ADD COLUMN ends bigint[];
ALTER TABLE engagement.unsubscribe ADD CONSTRAINT unsubscribe_only_a_clear_ends CHECK (
    ends IS NULL OR (kind = 'resubscribe' AND origin = 'Salesforce Sync')
) NOT VALID;

-- Clears are few; looking for those of a person reads only them.
CREATE INDEX unsubscribe_clear ON engagement.unsubscribe (person_id)
    WHERE kind = 'resubscribe' AND origin = 'Salesforce Sync';
-- Resubscribes are few, too, and most acts are none.
CREATE INDEX unsubscribe_resubscribe ON engagement.unsubscribe (person_id)
    WHERE kind = 'resubscribe';

-- What names the record in an Id as somebody typed it: the first 15 characters, without the white
-- space around them (all that Unicode knows, because the sync trims all of it).
CREATE FUNCTION engagement.record_key(salesforce_id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(
    btrim(salesforce_id, E' \t\n\x0b\f\r\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003'
        '\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'),
    15
);
-- People who share a record are a group.
CREATE INDEX person_salesforce_record ON engagement.person (engagement.record_key(salesforce_id))
    WHERE salesforce_id IS NOT NULL;

DROP FUNCTION engagement.record_act (bigint, text, text, text, text, text, text, timestamptz, text);

-- One row per resubscribe that the sync did not write. It is evidence if it says why, by whom and
-- where that is documented.
CREATE VIEW engagement.own_resubscribe AS
SELECT r.id AS act_id,
       r.person_id,
       least(r.occurred_at, r.recorded_at) AS at,
       r.recorded_at,
       r.origin,
       r.origin IN ('Clicked Link', 'One-Click') AS is_by_person,
       coalesce(r.reason, '') <> '' AND coalesce(r.actor, '') <> ''
           AND coalesce(r.evidence_ref, '') <> '' AS is_evidence
FROM engagement.unsubscribe AS r
WHERE r.kind = 'resubscribe' AND r.origin <> 'Salesforce Sync';

-- One row per clear: an act of the sync that ends opt-outs of its person. It carries a box that was
-- cleared in Salesforce, or a resubscribe, of this person or of another one of the same record;
-- null once whoever gave it was erased.
CREATE VIEW engagement.clear AS
SELECT c.id AS clear_id,
       c.person_id,
       c.recorded_at,
       e.id AS act_id,
       least(e.occurred_at, e.recorded_at) AS at,
       e.person_id = c.person_id AS is_own,
       e.origin IN ('Clicked Link', 'One-Click') AS is_by_person,
       coalesce(e.reason, '') <> '' AND coalesce(e.actor, '') <> ''
           AND coalesce(e.evidence_ref, '') <> '' AS is_evidence,
       c.ends
FROM engagement.unsubscribe AS c
LEFT JOIN engagement.unsubscribe AS e
    ON e.id = CASE WHEN starts_with(c.caused_by, 'act:') THEN CAST(substr(c.caused_by, 5) AS bigint) END
    -- `|| ''` keeps the index of all resubscribes out of this: statistics that know none yet make
    -- it look cheaper than the primary key, and it would be read once for each clear.
   AND e.kind || '' = 'resubscribe' AND e.origin <> 'Salesforce Sync'
WHERE c.kind = 'resubscribe' AND c.origin = 'Salesforce Sync';

-- Whether a resubscribe of the same person, once accepted, ends an unsubscribe that the sync did
-- not write: it must be newer, by time and then by id. What the person did themselves takes
-- evidence, and a complaint takes evidence that the person gave themselves.
CREATE FUNCTION engagement.resubscribe_ends(
    origin       text,
    at           timestamptz,
    act_id       bigint,
    by_at        timestamptz,
    by_act_id    bigint,
    is_evidence  boolean,
    is_by_person boolean
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (at, act_id) < (by_at, by_act_id)
       AND CASE origin
               WHEN 'Complaint' THEN is_evidence AND is_by_person
               WHEN 'Clicked Link' THEN is_evidence
               WHEN 'One-Click' THEN is_evidence
               ELSE true
           END
$$;

-- Whether a change without evidence (rule changed_side), such as a box that was cleared in
-- Salesforce, may end an unsubscribe of this origin. What the person did themselves it does not end.
CREATE FUNCTION engagement.change_ends(origin text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT origin NOT IN ('Clicked Link', 'One-Click', 'Complaint')
$$;

-- One row per unsubscribe, of every scope, that no clear has ended. `at` is when it happened; for
-- one that the sync wrote, the latest time at which its cause can have happened.
--  * What the sync wrote ends with every clear recorded after the reading that it comes from began:
--    it repeats a value from before the clear.
--  * Anything else ends with evidence of the same person that is newer, whatever was known of it
--    then: see the function. A clear that carries no evidence ends what its plan knew. Somebody
--    else's evidence ends none of it.
CREATE VIEW engagement.standing_opt_out AS
SELECT u.id AS act_id,
       u.person_id,
       CASE WHEN u.origin <> 'Salesforce Sync' THEN least(u.occurred_at, u.recorded_at)
            ELSE coalesce(
                least(cause.occurred_at, cause.recorded_at),
                CAST(nullif(split_part(u.caused_by, '@', 2), '') AS timestamptz),
                u.occurred_at)
       END AS at,
       u.scope,
       u.origin,
       CASE WHEN u.origin = 'Salesforce Sync' THEN u.caused_by END AS caused_by,
       u.recorded_at
FROM engagement.unsubscribe AS u
LEFT JOIN engagement.unsubscribe AS cause
    ON u.origin = 'Salesforce Sync'
   AND cause.id = CASE WHEN starts_with(u.caused_by, 'act:') THEN CAST(substr(u.caused_by, 5) AS bigint) END
WHERE u.kind = 'unsubscribe'
  AND NOT EXISTS (
      SELECT FROM engagement.clear AS c
      WHERE c.person_id = u.person_id
        AND CASE
                WHEN u.origin = 'Salesforce Sync' THEN u.occurred_at <= c.recorded_at
                WHEN c.is_own AND c.is_evidence THEN engagement.resubscribe_ends(
                    u.origin, least(u.occurred_at, u.recorded_at), u.id,
                    c.at, c.act_id, c.is_evidence, c.is_by_person)
                ELSE u.id = ANY (c.ends) AND engagement.change_ends(u.origin)
            END
  );

-- One row per person, everybody: the newest opt-out in scope that stands, if any.
CREATE OR REPLACE FUNCTION engagement.person_states(scopes text[], with_bounces boolean)
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
-- Replaced, not dropped: senders keep their rights on it, and views of their own that read it.
CREATE OR REPLACE VIEW engagement.person_opt_out AS
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

-- What a run may still have to judge. One row per resubscribe: each person's newest accepted one (a
-- clear names it) of each strength (a claim, evidence, evidence by the person), all evidence that is
-- not accepted, and a resubscribe without evidence if it is newer than everything that still holds
-- its person opted out (it counts under changed_side).
CREATE VIEW engagement.open_resubscribe AS
WITH own AS NOT MATERIALIZED (
    SELECT r.act_id, r.person_id, r.at, r.recorded_at, r.origin, r.is_evidence, r.is_by_person,
           EXISTS (
               SELECT FROM engagement.clear AS c
               WHERE c.person_id = r.person_id AND c.act_id = r.act_id
           ) AS is_accepted
    FROM engagement.own_resubscribe AS r
)
SELECT accepted.act_id, accepted.person_id, accepted.at, accepted.recorded_at, accepted.origin,
       accepted.is_evidence, accepted.is_accepted
FROM (
    SELECT DISTINCT ON (person_id, is_evidence, is_by_person) *
    FROM own
    WHERE is_accepted
    ORDER BY person_id, is_evidence, is_by_person, at DESC, act_id DESC
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
-- same id; null when the person is gone. A key that names another act is refused, and so is one of
-- the sync's to anybody else, and the other way round. Nobody may call it: see the next two.
CREATE FUNCTION engagement.add_act(
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
    idempotency_key text,
    ends            bigint[]
) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    act engagement.unsubscribe;
BEGIN
    PERFORM FROM engagement.person AS p WHERE p.id = add_act.person_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO engagement.unsubscribe AS u
        (person_id, kind, scope, origin, reason, actor, approver, evidence_ref, caused_by,
         occurred_at, idempotency_key, ends)
    VALUES (add_act.person_id, add_act.kind, add_act.scope, add_act.origin, add_act.reason,
            add_act.actor, add_act.approver, add_act.evidence_ref, add_act.caused_by,
            add_act.occurred_at, add_act.idempotency_key, add_act.ends)
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING u.* INTO act;
    IF act.id IS NULL THEN
        SELECT u.* INTO act FROM engagement.unsubscribe AS u
        WHERE u.idempotency_key = add_act.idempotency_key;
    END IF;
    IF (act.person_id, act.kind, act.origin = 'Salesforce Sync') IS DISTINCT FROM
       (add_act.person_id, add_act.kind, add_act.origin = 'Salesforce Sync') THEN
        RAISE EXCEPTION 'this idempotency key already names another act' USING ERRCODE = 'OS001';
    END IF;
    RETURN act.id;
END
$$;

-- Adds one act of a person, or for them: what applications call. See add_act.
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
BEGIN
    IF origin = 'Salesforce Sync' THEN
        RAISE EXCEPTION 'only the sync itself adds acts of the origin Salesforce Sync'
            USING ERRCODE = 'OS001';
    END IF;
    RETURN engagement.add_act(
        person_id, kind, scope, origin, reason, actor, approver, evidence_ref, caused_by,
        occurred_at, idempotency_key, NULL);
END
$$;

-- Adds one act of the sync: an opt-out that it saw elsewhere, or a clear. See add_act.
CREATE FUNCTION engagement.record_sync_act(
    person_id       bigint,
    kind            text,
    caused_by       text,
    occurred_at     timestamptz,
    idempotency_key text,
    ends            bigint[] DEFAULT NULL
) RETURNS bigint LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT engagement.add_act(
        person_id, kind, 'team', 'Salesforce Sync', NULL, NULL, NULL, NULL, caused_by, occurred_at,
        idempotency_key, ends)
$$;

-- Adds a consent and returns its id: for whoever may record evidence, and no other act. Repeating
-- the call with its key adds nothing; null when the person is gone.
CREATE FUNCTION engagement.record_consent(
    person_id       bigint,
    origin          text,
    reason          text,
    actor           text,
    approver        text,
    evidence_ref    text,
    occurred_at     timestamptz,
    idempotency_key text
) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(origin, '') NOT IN ('Manual', 'Clicked Link') OR btrim(coalesce(reason, '')) = ''
       OR btrim(coalesce(actor, '')) = '' OR btrim(coalesce(evidence_ref, '')) = '' THEN
        RAISE EXCEPTION 'consent needs a reason, an actor and a reference, and is of the origin '
            'Manual or Clicked Link' USING ERRCODE = 'OS001';
    END IF;
    RETURN engagement.record_act(
        person_id, 'resubscribe', 'team', origin, reason, actor, approver, evidence_ref, NULL,
        occurred_at, idempotency_key);
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
    IF coalesce(relink_person.to_salesforce_id, '') !~ '^(003|00Q)[0-9A-Za-z]{15}$' THEN
        RAISE EXCEPTION 'a person is linked to a Contact or Lead by an Id of 18 characters'
            USING ERRCODE = 'OS001';
    END IF;
    UPDATE engagement.person AS p
    SET salesforce_id = relink_person.to_salesforce_id, updated_at = now()
    WHERE p.id = relink_person.person_id
      AND engagement.record_key(p.salesforce_id)
          = engagement.record_key(relink_person.from_salesforce_id);
    RETURN FOUND;
END
$$;

REVOKE EXECUTE ON FUNCTION
    engagement.add_act, engagement.record_act, engagement.record_sync_act,
    engagement.record_consent, engagement.lock_people, engagement.relink_person
    FROM PUBLIC;

-- What the sync added itself. One row per act of it; nothing that anybody typed.
CREATE VIEW engagement.sync_act AS
SELECT u.id AS act_id, u.person_id, u.kind, u.caused_by, u.idempotency_key
FROM engagement.unsubscribe AS u
WHERE u.origin = 'Salesforce Sync';

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

GRANT SELECT ON
    engagement.own_resubscribe, engagement.standing_opt_out, engagement.open_resubscribe,
    engagement.sync_act
    TO opt_out_sync_writer;
GRANT EXECUTE ON FUNCTION
    engagement.person_states, engagement.states_of, engagement.record_sync_act,
    engagement.record_consent, engagement.lock_people, engagement.relink_person
    TO opt_out_sync_writer;
-- An admin records consents, and sees whether a person is opted out and why; no typed text.
GRANT USAGE ON SCHEMA engagement TO opt_out_admin;
GRANT SELECT (id, salesforce_id) ON engagement.person TO opt_out_admin;
GRANT SELECT (id, person_id) ON engagement.unsubscribe TO opt_out_admin;
GRANT SELECT ON engagement.standing_opt_out, engagement.sync_act TO opt_out_admin;
GRANT EXECUTE ON FUNCTION engagement.record_consent, engagement.states_of TO opt_out_admin;
