-- Back to a store that records no clear.

-- One row per person. An opt-out starts with an unsubscribe in scope and lasts until the clear that
-- the sync records for accepted evidence; a person's own resubscribe alone ends nothing. So the
-- newest act that counts says it all. An act counts from the time it happened, but never from
-- before it was known to happen later: least(occurred_at, recorded_at); equal times go by id.
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
    SELECT p.id,
           p.salesforce_id,
           newest.opted_out_at IS NOT NULL,
           newest.opted_out_at,
           newest.act_id,
           newest.origin
    FROM engagement.person AS p
    LEFT JOIN (
        SELECT DISTINCT ON (u.person_id)
               u.person_id,
               CASE WHEN u.kind = 'unsubscribe' THEN least(u.occurred_at, u.recorded_at) END
                   AS opted_out_at,
               CASE WHEN u.kind = 'unsubscribe' THEN u.id END AS act_id,
               CASE WHEN u.kind = 'unsubscribe' THEN u.origin END AS origin
        FROM engagement.unsubscribe AS u
        WHERE u.scope = ANY (scopes)
          AND CASE u.kind
                  WHEN 'unsubscribe' THEN with_bounces OR u.origin <> 'Bounce'
                  ELSE u.origin = 'Salesforce Sync'
              END
        ORDER BY u.person_id, least(u.occurred_at, u.recorded_at) DESC, u.id DESC
    ) AS newest ON newest.person_id = p.id
$$;

-- The list to check before sending: person_states(ARRAY['team'], false), written so that looking up
-- a few people reads only them. It reads with its owner's rights: SELECT on it is enough.
CREATE OR REPLACE VIEW engagement.person_opt_out AS
    SELECT p.id AS person_id,
           p.salesforce_id,
           newest.id IS NOT NULL AS is_opted_out,
           newest.at AS opted_out_at,
           newest.id AS act_id,
           newest.origin
    FROM engagement.person AS p
    LEFT JOIN LATERAL (
        SELECT u.id, u.kind, u.origin, least(u.occurred_at, u.recorded_at) AS at
        FROM engagement.unsubscribe AS u
        WHERE u.person_id = p.id
          AND u.scope = 'team'
          AND CASE u.kind
                  WHEN 'unsubscribe' THEN u.origin <> 'Bounce'
                  ELSE u.origin = 'Salesforce Sync'
              END
        ORDER BY least(u.occurred_at, u.recorded_at) DESC, u.id DESC
        LIMIT 1
    ) AS newest ON newest.kind = 'unsubscribe';

DROP VIEW engagement.sync_act;
DROP VIEW engagement.open_resubscribe;
DROP FUNCTION engagement.states_of (bigint[], text[], boolean);
DROP VIEW engagement.standing_opt_out;
DROP FUNCTION engagement.change_ends (text);
DROP FUNCTION engagement.resubscribe_ends
    (text, timestamptz, bigint, timestamptz, bigint, boolean, boolean);
DROP VIEW engagement.clear;
DROP VIEW engagement.own_resubscribe;
DROP FUNCTION engagement.relink_person (bigint, text, text);
DROP FUNCTION engagement.lock_people (bigint[]);
DROP FUNCTION engagement.record_consent
    (bigint, text, text, text, text, text, timestamptz, text);
DROP FUNCTION engagement.record_sync_act (bigint, text, text, timestamptz, text, bigint[]);
DROP FUNCTION engagement.record_act
    (bigint, text, text, text, text, text, text, text, text, timestamptz, text);
DROP FUNCTION engagement.add_act
    (bigint, text, text, text, text, text, text, text, text, timestamptz, text, bigint[]);
DROP INDEX engagement.person_salesforce_record;
DROP FUNCTION engagement.record_key (text);
DROP INDEX engagement.unsubscribe_resubscribe;
DROP INDEX engagement.unsubscribe_clear;
ALTER TABLE engagement.unsubscribe DROP COLUMN ends;
ALTER TABLE engagement.unsubscribe DROP CONSTRAINT unsubscribe_sync_names_its_cause;
ALTER TABLE engagement.unsubscribe ADD CONSTRAINT unsubscribe_sync_names_its_cause
    CHECK (origin <> 'Salesforce Sync' OR caused_by IS NOT NULL);
REVOKE SELECT (id, salesforce_id) ON engagement.person FROM opt_out_admin;
REVOKE SELECT (id, person_id) ON engagement.unsubscribe FROM opt_out_admin;
REVOKE USAGE ON SCHEMA engagement FROM opt_out_admin;

-- Adds one act and returns its id. Repeating the call with its key adds nothing and returns the
-- same id; null when the person is gone. A key that names another act is refused, and so is a clear
-- by the sync: it would need accepted evidence, which this version does not judge.
-- Runs with its owner's rights, so whoever may call it needs none on the tables.
CREATE FUNCTION engagement.record_act(
    person_id       bigint,
    kind            text,
    scope           text,
    origin          text,
    reason          text,
    actor           text,
    caused_by       text,
    occurred_at     timestamptz,
    idempotency_key text
) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    act engagement.unsubscribe;
BEGIN
    IF record_act.kind = 'resubscribe' AND record_act.origin = 'Salesforce Sync' THEN
        RAISE EXCEPTION 'this version records no clear: the sync never ends an opt-out'
            USING ERRCODE = 'OS001';
    END IF;
    PERFORM FROM engagement.person AS p WHERE p.id = record_act.person_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO engagement.unsubscribe AS u
        (person_id, kind, scope, origin, reason, actor, caused_by, occurred_at, idempotency_key)
    VALUES (record_act.person_id, record_act.kind, record_act.scope, record_act.origin,
            record_act.reason, record_act.actor, record_act.caused_by, record_act.occurred_at,
            record_act.idempotency_key)
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
REVOKE EXECUTE ON FUNCTION engagement.record_act FROM PUBLIC;
GRANT EXECUTE ON FUNCTION engagement.record_act TO opt_out_sync_writer;
