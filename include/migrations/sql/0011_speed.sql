-- Each of these asks for few links among millions, once a night or more.
CREATE INDEX link_not_visible ON opt_out_sync.link (org_id, not_visible_since)
    WHERE state = 'active' AND not_visible_since IS NOT NULL;
CREATE INDEX link_undone ON opt_out_sync.link (org_id) WHERE flips <> 0;
CREATE INDEX link_covered ON opt_out_sync.link (org_id, person_id) WHERE evidence_id IS NOT NULL;
CREATE INDEX link_opted_out_field ON opt_out_sync.link (org_id, field)
    WHERE state = 'active' AND base;

-- Adds an unsubscribe of the sync for each of these people, as record_sync_act does for one, in a
-- tenth of the time. The arrays belong together; a key that names another act is refused. Returns
-- one row per person asked for; no act for whoever is gone.
CREATE FUNCTION engagement.record_sync_opt_outs(
    person_ids       bigint[],
    causes           text[],
    occurred_at      timestamptz,
    idempotency_keys text[]
) RETURNS TABLE (person_id bigint, act_id bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- In the order of their ids, as lock_people: nobody waits in a circle.
    PERFORM FROM engagement.person AS p
    WHERE p.id = ANY (record_sync_opt_outs.person_ids)
    ORDER BY p.id
    FOR KEY SHARE;

    INSERT INTO engagement.unsubscribe
        (person_id, kind, scope, origin, caused_by, occurred_at, idempotency_key)
    SELECT asked.person_id, 'unsubscribe', 'team', 'Salesforce Sync', asked.cause,
           record_sync_opt_outs.occurred_at, asked.key
    FROM unnest(
             record_sync_opt_outs.person_ids, record_sync_opt_outs.causes,
             record_sync_opt_outs.idempotency_keys
         ) AS asked (person_id, cause, key)
    JOIN engagement.person AS p ON p.id = asked.person_id
    ORDER BY asked.person_id
    ON CONFLICT (idempotency_key) DO NOTHING;

    IF EXISTS (
        SELECT
        FROM unnest(
                 record_sync_opt_outs.person_ids, record_sync_opt_outs.idempotency_keys
             ) AS asked (person_id, key)
        JOIN engagement.unsubscribe AS u ON u.idempotency_key = asked.key
        WHERE (u.person_id, u.kind, u.origin)
              IS DISTINCT FROM (asked.person_id, 'unsubscribe', 'Salesforce Sync')
    ) THEN
        RAISE EXCEPTION 'this idempotency key already names another act' USING ERRCODE = 'OS001';
    END IF;

    RETURN QUERY
    SELECT asked.person_id, u.id
    FROM unnest(
             record_sync_opt_outs.person_ids, record_sync_opt_outs.idempotency_keys
         ) AS asked (person_id, key)
    LEFT JOIN engagement.unsubscribe AS u ON u.idempotency_key = asked.key;
END
$$;
REVOKE EXECUTE ON FUNCTION engagement.record_sync_opt_outs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION engagement.record_sync_opt_outs TO opt_out_sync_writer;

-- An early 0006 declared the setting with the function, which only a superuser may: the same again,
-- for who migrated then.
CREATE OR REPLACE FUNCTION engagement.relink_person(
    person_id          bigint,
    from_salesforce_id text,
    to_salesforce_id   text
) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_relinked boolean;
BEGIN
    IF coalesce(relink_person.to_salesforce_id, '') !~ '^(003|00Q)[0-9A-Za-z]{15}$' THEN
        RAISE EXCEPTION 'a person is linked to a Contact or Lead by an Id of 18 characters'
            USING ERRCODE = 'OS001';
    END IF;
    PERFORM set_config('opt_out_sync.relinks', 'on', true);
    UPDATE engagement.person AS p
    SET salesforce_id = relink_person.to_salesforce_id, updated_at = now()
    WHERE p.id = relink_person.person_id
      AND engagement.record_key(p.salesforce_id)
          = engagement.record_key(relink_person.from_salesforce_id);
    is_relinked := FOUND;
    PERFORM set_config('opt_out_sync.relinks', 'off', true);
    RETURN is_relinked;
END
$$;
