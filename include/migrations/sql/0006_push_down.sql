-- Back to 0005. What waits in the outbox is lost: the next night compares everybody.

DROP VIEW opt_out_sync.v_open_failures;
-- The view of 0005.
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

GRANT SELECT ON opt_out_sync.v_open_failures
    TO opt_out_analyst, opt_out_sync_writer, opt_out_admin;

DROP VIEW opt_out_sync.v_push_outbox;
DROP FUNCTION opt_out_sync.business_days_after;
DROP TRIGGER settings_version_wakes_push ON opt_out_sync.settings_version;
DROP TRIGGER person_is_pushed ON engagement.person;
DROP TRIGGER unsubscribe_is_pushed ON engagement.unsubscribe;
CREATE OR REPLACE FUNCTION engagement.relink_person(
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
DROP FUNCTION opt_out_sync.wake_push;
DROP FUNCTION opt_out_sync.signal_person;
DROP FUNCTION opt_out_sync.signal_acts;
DROP TABLE opt_out_sync.push_pause;
DROP SEQUENCE opt_out_sync.push_claim;
DROP TABLE opt_out_sync.push_outbox;
DROP TABLE opt_out_sync.push_signal;
