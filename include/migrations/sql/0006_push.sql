-- The outbox: whom the push has to look at, and what became of it. Rows say "person P changed",
-- never a value: the push sends what is true when it looks.

-- Who changed since the push last looked, in the transaction of the change. Only ever added to and
-- taken from, never updated: whoever records an act waits for nobody and cannot deadlock here.
CREATE TABLE opt_out_sync.push_signal (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id    bigint NOT NULL,
    signalled_at timestamptz NOT NULL DEFAULT now()
);

-- Where each person stands: one row per person who ever changed. `version` grows with each change,
-- so that a push which looked before the newest one does not settle it. Only pushes write it.
CREATE TABLE opt_out_sync.push_outbox (
    person_id       bigint PRIMARY KEY,
    state           text NOT NULL,
    version         bigint NOT NULL,
    marked_at       timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    claimed_by      bigint,
    failure_class   text,
    code            text,
    fix             text,
    closed_at       timestamptz,
    CONSTRAINT push_outbox_state CHECK (state IN ('waiting', 'claimed', 'parked', 'closed')),
    CONSTRAINT push_outbox_claim_names_its_run CHECK ((state = 'claimed') = (claimed_by IS NOT NULL)),
    CONSTRAINT push_outbox_closed_once CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT push_outbox_failure_class CHECK (
        failure_class IN ('retry', 'permission', 'validation', 'gone', 'changed')
    )
);
CREATE INDEX push_outbox_due ON opt_out_sync.push_outbox (next_attempt_at)
    WHERE state IN ('waiting', 'parked');
CREATE INDEX push_outbox_claimed ON opt_out_sync.push_outbox (claimed_by) WHERE state = 'claimed';
-- Names each claim, so that what one run does for a person twice has two keys.
CREATE SEQUENCE opt_out_sync.push_claim;

-- Why no push is made at the moment, and until when: Salesforce is down, or the org's requests run
-- out. At most one row.
CREATE TABLE opt_out_sync.push_pause (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since    timestamptz NOT NULL,
    until    timestamptz NOT NULL,
    failures integer NOT NULL,
    code     text NOT NULL,
    reason   text NOT NULL
);

-- Marks whoever an act is about, whichever program added it, and wakes the push once per statement.
-- What the sync adds is no news to it.
CREATE FUNCTION opt_out_sync.signal_acts() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO opt_out_sync.push_signal (person_id)
    SELECT DISTINCT added.person_id FROM added WHERE added.origin <> 'Salesforce Sync';
    IF FOUND THEN
        PERFORM pg_notify('opt_out_sync_push', '');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER unsubscribe_is_pushed AFTER INSERT ON engagement.unsubscribe
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.signal_acts();

-- Marks a person who gets a Salesforce Id, or another one: an opt-out may wait for it. An Id that
-- the sync corrects is no news, and neither is that of somebody who never opted out.
CREATE FUNCTION opt_out_sync.signal_person() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('opt_out_sync.relinks', true) IS DISTINCT FROM 'on'
       AND EXISTS (SELECT FROM engagement.unsubscribe AS u WHERE u.person_id = NEW.id) THEN
        INSERT INTO opt_out_sync.push_signal (person_id) VALUES (NEW.id);
        PERFORM pg_notify('opt_out_sync_push', '');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER person_is_pushed AFTER UPDATE OF salesforce_id ON engagement.person
    FOR EACH ROW
    WHEN (NEW.salesforce_id IS NOT NULL AND OLD.salesforce_id IS DISTINCT FROM NEW.salesforce_id)
    EXECUTE FUNCTION opt_out_sync.signal_person();
-- What the sync corrects says so for as long as it takes: by a call, because only a superuser may
-- declare it with the function.
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

-- Settings take effect at once: "resume" wakes the push.
CREATE FUNCTION opt_out_sync.wake_push() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('opt_out_sync_push', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER settings_version_wakes_push AFTER INSERT ON opt_out_sync.settings_version
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.wake_push();
REVOKE EXECUTE ON FUNCTION
    opt_out_sync.signal_acts, opt_out_sync.signal_person, opt_out_sync.wake_push
    FROM PUBLIC;

-- The end of the n-th business day after a moment, in California. Monday to Friday; holidays are
-- not known, so a deadline may be early and is never late.
CREATE FUNCTION opt_out_sync.business_days_after(at timestamptz, days integer)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (later.day + 1)::timestamp AT TIME ZONE 'America/Los_Angeles'
    FROM (
        SELECT (at AT TIME ZONE 'America/Los_Angeles')::date + ahead AS day
        FROM generate_series(1, days * 2 + 2) AS ahead
    ) AS later
    WHERE extract(isodow FROM later.day) < 6
    ORDER BY later.day
    OFFSET days - 1 LIMIT 1
$$;

-- Whom the push still has to look at. Grain: one row per person.
CREATE VIEW opt_out_sync.v_push_outbox AS
SELECT coalesce(o.person_id, s.person_id) AS person_id,
       CASE WHEN o.state IN ('claimed', 'parked') THEN o.state ELSE 'waiting' END AS state,
       least(CASE WHEN o.state <> 'closed' THEN o.marked_at END, s.signalled_at) AS marked_at,
       now() - least(CASE WHEN o.state <> 'closed' THEN o.marked_at END, s.signalled_at) AS waiting_for,
       coalesce(o.attempts, 0) AS attempts,
       CASE WHEN s.person_id IS NULL THEN o.next_attempt_at ELSE s.signalled_at END AS next_attempt_at,
       o.failure_class,
       CASE WHEN o.state <> 'closed' THEN o.code END AS code,
       CASE WHEN o.state <> 'closed' THEN o.fix END AS fix
FROM opt_out_sync.push_outbox AS o
FULL JOIN (
    SELECT person_id, min(signalled_at) AS signalled_at
    FROM opt_out_sync.push_signal
    GROUP BY person_id
) AS s ON s.person_id = o.person_id
WHERE s.person_id IS NOT NULL OR o.state <> 'closed';

-- As in 0005, and pushes that failed and wait for their next attempt; each with its age since the
-- person opted out, against 48 hours and 10 business days. A push run may have begun before the last
-- night and failed after it. Oldest first.
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
    SELECT least(night.id, min(r.id)) AS id
    FROM last_night AS night
    LEFT JOIN opt_out_sync.sync_run AS r
        ON r.kind = 'push' AND coalesce(r.closed_at, r.lease_expires_at) >= night.started_at
    GROUP BY night.id
), newest AS (
    SELECT DISTINCT ON (w.org_id, w.person_id, w.record_id, w.field, w.side) w.*
    FROM opt_out_sync.write_attempt AS w
    WHERE w.sync_run_id >= (SELECT id FROM first_run)
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
)
SELECT org_id,
       person_id,
       record_id,
       object,
       field,
       side,
       target,
       failure_class,
       code,
       fix,
       first_failed_at,
       last_failed_at,
       coalesce(last_failed_at, now()) - first_failed_at AS failing_for,
       sync_run_id,
       since AS opted_out_at,
       now() - since AS age,
       now() - since > interval '48 hours' AS is_past_48_hours,
       opt_out_sync.business_days_after(since, 10) AS due_at,
       now() >= opt_out_sync.business_days_after(since, 10) AS is_past_10_business_days,
       attempts,
       next_attempt_at
FROM open_failure
ORDER BY since, person_id, record_id;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    opt_out_sync.push_signal, opt_out_sync.push_outbox, opt_out_sync.push_pause
    TO opt_out_sync_writer;
GRANT USAGE ON SEQUENCE opt_out_sync.push_claim TO opt_out_sync_writer;
GRANT SELECT ON opt_out_sync.v_push_outbox TO opt_out_sync_writer, opt_out_analyst, opt_out_admin;
GRANT SELECT ON opt_out_sync.push_pause TO opt_out_analyst, opt_out_admin;
