-- Retention: months of the audit that are older than the setting `audit_keep_months` are thinned. What
-- proves something stays for ever: see thin_audit_month.

-- Insert-only: which months were thinned, by whom, and how much is left, so that what is missing can be
-- explained.
CREATE TABLE opt_out_sync.audit_thinning (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thinned_at       timestamptz NOT NULL,
    thinned_by       text NOT NULL CHECK (btrim(thinned_by) <> ''),
    login            text NOT NULL DEFAULT session_user,
    settings_version integer NOT NULL,
    keep_months      integer NOT NULL,
    audit_table      text NOT NULL,
    month            date NOT NULL,
    rows_before      bigint NOT NULL,
    rows_kept        bigint NOT NULL,
    CONSTRAINT audit_thinning_once UNIQUE (audit_table, month)
);
CREATE TRIGGER audit_thinning_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.audit_thinning
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER audit_thinning_no_truncate BEFORE TRUNCATE ON opt_out_sync.audit_thinning
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();

-- Months that may be thinned, the oldest first. Grain: one row per audit table and month.
--  * Never one of the last 24, whatever the setting says: a function that removes evidence does not
--    take somebody's word for it.
--  * Never what is still open: the last night that closed, whatever runs, clears that are held and
--    pushes that wait are judged by rows of their own months; a month more keeps clocks out of it.
CREATE FUNCTION opt_out_sync.audit_months_due(moment timestamptz)
RETURNS TABLE (audit_table text, month date, keep_months integer, settings_version integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH chosen AS (
        SELECT version, coalesce((document ->> 'audit_keep_months')::integer, 0) AS months
        FROM opt_out_sync.settings_version
        ORDER BY version DESC
        LIMIT 1
    ), still_open AS (
        SELECT least(
                   coalesce((SELECT max(r.started_at) FROM opt_out_sync.sync_run AS r
                             WHERE r.kind = 'night' AND r.state = 'closed'), '-infinity'),
                   (SELECT min(r.started_at) FROM opt_out_sync.sync_run AS r WHERE r.state = 'open'),
                   (SELECT min(h.held_at) FROM opt_out_sync.held_clear AS h
                    WHERE h.resolution IS NULL),
                   (SELECT min(o.marked_at) FROM opt_out_sync.push_outbox AS o
                    WHERE o.state <> 'closed')
               ) AS since
    ), partition AS (
        SELECT parent.relname::text AS audit_table,
               to_date(right(child.relname, 7), 'YYYY_MM') AS month
        FROM pg_inherits AS i
        JOIN pg_class AS parent ON parent.oid = i.inhparent
        JOIN pg_class AS child ON child.oid = i.inhrelid
        WHERE parent.relnamespace = 'opt_out_sync'::regnamespace
          AND parent.relname IN ('merge_audit', 'write_attempt')
          AND child.relname ~ '_[0-9]{4}_[0-9]{2}$'
    )
    SELECT p.audit_table, p.month, chosen.months, chosen.version
    FROM partition AS p
    CROSS JOIN chosen
    CROSS JOIN still_open
    WHERE chosen.months >= 24
      AND (p.month + interval '1 month') AT TIME ZONE 'UTC'
          <= least(audit_months_due.moment, now()) - chosen.months * interval '1 month'
      AND (p.month + interval '2 months') AT TIME ZONE 'UTC' <= still_open.since
      AND NOT EXISTS (
          SELECT FROM opt_out_sync.audit_thinning AS t
          WHERE t.audit_table = p.audit_table AND t.month = p.month
      )
    ORDER BY p.month, p.audit_table
$$;

-- Copies what a month of decisions has to keep. Left out is
--  * what says of nobody that they are opted out, wrote nothing and replaced nothing;
--  * what says the very same as another decision of that month, about the same people with the same
--    acts, and had no effect: the first and the last of those stay.
CREATE FUNCTION opt_out_sync.keep_decisions(from_partition text, to_table text, first_at timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format($kept$
        WITH told AS MATERIALIZED (
            SELECT d.*
            FROM opt_out_sync.%1$I AS d
            WHERE d.base OR d.store_is_opted_out OR d.salesforce_is_opted_out OR d.new_base
               OR d.target_store IS NOT NULL OR d.target_salesforce IS NOT NULL
               OR d.evidence_id IS NOT NULL OR d.supersedes IS NOT NULL
               OR d.record_id IS NULL  -- opted out, and nobody could carry it: values are left empty
        ), alike AS (
            SELECT t.*,
                   count(*) OVER (
                       PARTITION BY org_id, person_id, record_id, field, code, base,
                                    store_is_opted_out, salesforce_is_opted_out, target_store,
                                    target_salesforce, new_base
                   ) AS copies
            FROM told AS t
        ), without_effect AS (
            SELECT a.*,
                   (SELECT max(u.id) FROM engagement.unsubscribe AS u
                    WHERE u.person_id = a.person_id AND u.recorded_at <= a.decided_at) AS act_id
            FROM alike AS a
            WHERE a.copies > 2
              AND NOT EXISTS (
                  SELECT FROM opt_out_sync.write_attempt AS w
                  WHERE w.sync_run_id = a.sync_run_id AND w.person_id = a.person_id
                    AND w.record_id IS NOT DISTINCT FROM a.record_id
                    AND w.field IS NOT DISTINCT FROM a.field
                    AND w.outcome IN ('applied', 'confirmed')
                    AND w.attempted_at >= %3$L::timestamptz - interval '1 day'
              )
        ), placed AS (
            SELECT id, row_number() OVER (again ORDER BY id) AS nth,
                   row_number() OVER (again ORDER BY id DESC) AS nth_from_end
            FROM without_effect
            WINDOW again AS (
                PARTITION BY org_id, person_id, record_id, field, code, base, store_is_opted_out,
                             salesforce_is_opted_out, target_store, target_salesforce, new_base,
                             evidence_id, store_act_id, salesforce_opted_out_before, act_id
            )
        )
        INSERT INTO opt_out_sync.%2$I
        SELECT t.* FROM told AS t
        WHERE NOT EXISTS (
            SELECT FROM placed AS p WHERE p.id = t.id AND p.nth > 1 AND p.nth_from_end > 1
        )
        ORDER BY t.id
    $kept$, from_partition, to_table, first_at);
END
$$;

-- Copies what a month of writes has to keep: all that took effect, what somebody undid, and of each
-- failure, or other outcome, the first and the last of those that follow one another.
CREATE FUNCTION opt_out_sync.keep_writes(from_partition text, to_table text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format($kept$
        WITH spelled AS (
            SELECT w.*,
                   count(*) FILTER (WHERE w.outcome = 'confirmed') OVER (
                       PARTITION BY org_id, person_id, record_id, field, side ORDER BY id
                   ) AS mended
            FROM opt_out_sync.%1$I AS w
        ), placed AS (
            SELECT id, outcome, code, changed_by,
                   row_number() OVER (again ORDER BY id) AS nth,
                   row_number() OVER (again ORDER BY id DESC) AS nth_from_end
            FROM spelled
            WINDOW again AS (
                PARTITION BY org_id, person_id, record_id, field, side, target, outcome,
                             failure_class, code, fix, mended
            )
        )
        INSERT INTO opt_out_sync.%2$I
        SELECT w.* FROM opt_out_sync.%1$I AS w
        JOIN placed AS p ON p.id = w.id
        WHERE p.outcome IN ('applied', 'confirmed')
           OR p.code = 'CHANGED_AFTER_WRITE' OR p.changed_by IS NOT NULL
           OR p.nth = 1 OR p.nth_from_end = 1
        ORDER BY w.id
    $kept$, from_partition, to_table);
END
$$;

-- Thins one month of one audit table, if it is due: a smaller table with what has to stay takes the
-- place of the month's. Returns nothing for a month that is not due, so repeating it changes nothing;
-- killed at any point, it has changed nothing. The copy is made beside the readers; to put it in place
-- the audit is locked for some milliseconds, and if that cannot be had in two seconds it fails, for
-- another try (SQLSTATE 55P03). DETACH ... CONCURRENTLY cannot be used beside a default partition.
-- Runs with its owner's rights, because only an owner can take a partition away.
CREATE FUNCTION opt_out_sync.thin_audit_month(
    audited_table text, of_month date, who text, moment timestamptz
) RETURNS TABLE (rows_before bigint, rows_kept bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
    partition text;
    copy text;
    time_column text;
    first_at timestamptz := of_month::timestamp AT TIME ZONE 'UTC';
    end_at timestamptz := (of_month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('opt_out_sync.thin_audit_month')) THEN
        RAISE EXCEPTION 'another process is thinning the audit' USING ERRCODE = '55P03';
    END IF;
    SELECT d.* INTO due FROM opt_out_sync.audit_months_due(thin_audit_month.moment) AS d
    WHERE d.audit_table = audited_table AND d.month = of_month;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', '2s', true);
    -- the name of the table is one of two: audit_months_due knows no other
    partition := format('%s_%s', due.audit_table, to_char(of_month, 'YYYY_MM'));
    copy := partition || '_kept';
    time_column := CASE due.audit_table WHEN 'merge_audit' THEN 'decided_at' ELSE 'attempted_at' END;
    -- who writes into so old a month has a wrong clock, and waits
    EXECUTE format('LOCK TABLE opt_out_sync.%I IN SHARE MODE', partition);
    EXECUTE format('CREATE TABLE opt_out_sync.%I (LIKE opt_out_sync.%I '
                   'INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING INDEXES)',
                   copy, due.audit_table);
    -- spares the server reading it all again when it is put in place
    EXECUTE format('ALTER TABLE opt_out_sync.%I ADD CONSTRAINT of_month CHECK (%I >= %L AND %I < %L)',
                   copy, time_column, first_at, time_column, end_at);
    IF due.audit_table = 'merge_audit' THEN
        PERFORM opt_out_sync.keep_decisions(partition, copy, first_at);
    ELSE
        PERFORM opt_out_sync.keep_writes(partition, copy);
    END IF;
    EXECUTE format('ANALYZE opt_out_sync.%I', copy);
    EXECUTE format('SELECT count(*) FROM opt_out_sync.%I', partition) INTO rows_before;
    EXECUTE format('SELECT count(*) FROM opt_out_sync.%I', copy) INTO rows_kept;

    EXECUTE format('DROP TABLE opt_out_sync.%I', partition);
    IF rows_kept = 0 THEN
        EXECUTE format('DROP TABLE opt_out_sync.%I', copy);
    ELSE
        EXECUTE format('ALTER TABLE opt_out_sync.%I RENAME TO %I', copy, partition);
        EXECUTE format('ALTER TABLE opt_out_sync.%I ATTACH PARTITION opt_out_sync.%I '
                       'FOR VALUES FROM (%L) TO (%L)', due.audit_table, partition, first_at, end_at);
        EXECUTE format('ALTER TABLE opt_out_sync.%I DROP CONSTRAINT of_month', partition);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON opt_out_sync.%I FOR EACH STATEMENT '
                       'EXECUTE FUNCTION opt_out_sync.refuse_change()',
                       due.audit_table || '_no_truncate', partition);
    END IF;
    INSERT INTO opt_out_sync.audit_thinning AS t
        (thinned_at, thinned_by, settings_version, keep_months, audit_table, month, rows_before,
         rows_kept)
    VALUES (least(thin_audit_month.moment, now()), who, due.settings_version, due.keep_months,
            due.audit_table, of_month, thin_audit_month.rows_before, thin_audit_month.rows_kept);
    RETURN NEXT;
END
$$;
REVOKE EXECUTE ON FUNCTION
    opt_out_sync.audit_months_due, opt_out_sync.keep_decisions, opt_out_sync.keep_writes,
    opt_out_sync.thin_audit_month
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION opt_out_sync.audit_months_due, opt_out_sync.thin_audit_month
    TO opt_out_sync_writer, opt_out_admin;
GRANT SELECT ON opt_out_sync.audit_thinning TO opt_out_sync_writer, opt_out_admin, opt_out_analyst;

-- As in 0009. A night of a month that was thinned keeps the numbers that were counted while all its
-- rows were there.
CREATE OR REPLACE FUNCTION opt_out_sync.tally_ended_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.audit_thinning AS t
            ON t.month = date_trunc('month', r.started_at AT TIME ZONE 'UTC')::date
        WHERE r.kind IN ('night', 'replay') AND r.night = NEW.night
    ) THEN
        PERFORM opt_out_sync.tally_nights(ARRAY[NEW.night]);
    END IF;
    RETURN NULL;
END
$$;

-- A night in numbers, counted from its rows, as in 0008: for nights that are not over yet, or were
-- run more than once.
CREATE VIEW opt_out_sync.v_night_counted AS
WITH attempt AS (
    SELECT night,
           count(*) FILTER (WHERE kind = 'night') AS attempts,
           count(*) FILTER (WHERE kind = 'replay') AS replays,
           coalesce(min(started_at) FILTER (WHERE kind = 'night' AND is_real),
                    min(started_at) FILTER (WHERE kind = 'night')) AS started_at,
           coalesce(max(id) FILTER (WHERE kind = 'night' AND is_real),
                    max(id) FILTER (WHERE kind = 'night')) AS shown_id,
           bool_and(plan_only) AS is_planned
    FROM (
        SELECT *, NOT plan_only AND state <> 'skipped' AS is_real FROM opt_out_sync.sync_run
    ) AS run
    WHERE kind IN ('night', 'replay')
    GROUP BY night
)
SELECT attempt.night,
       attempt.attempts,
       coalesce(shown.state, 'missed') AS state,
       shown.reason,
       coalesce(shown.plan_only, attempt.is_planned) AS plan_only,
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
       shown.settings_version,
       attempt.replays
FROM attempt
LEFT JOIN opt_out_sync.sync_run AS shown ON shown.id = attempt.shown_id
CROSS JOIN LATERAL (
    SELECT count(*) AS decisions,
           count(*) FILTER (WHERE link.opts_out_store) AS opt_outs_to_store,
           count(*) FILTER (WHERE link.opts_out_salesforce) AS opt_outs_to_salesforce,
           count(*) FILTER (WHERE link.clears_store) AS clears_to_store,
           count(*) FILTER (WHERE link.clears_salesforce) AS clears_to_salesforce
    FROM (
        SELECT bool_or(d.target_store AND (d.is_newest OR d.store_applied)) AS opts_out_store,
               bool_or(d.target_salesforce AND (d.is_newest OR d.salesforce_applied))
                   AS opts_out_salesforce,
               bool_or(NOT d.target_store AND (d.is_newest OR d.store_applied)) AS clears_store,
               bool_or(NOT d.target_salesforce AND (d.is_newest OR d.salesforce_applied))
                   AS clears_salesforce
        FROM (
            SELECT a.person_id, a.record_id, a.field, a.target_store, a.target_salesforce,
                   a.id = max(a.id) OVER (PARTITION BY a.person_id, a.record_id, a.field)
                       AS is_newest,
                   done.in_store AS store_applied,
                   done.in_salesforce AS salesforce_applied
            FROM opt_out_sync.sync_run AS r
            JOIN opt_out_sync.merge_audit AS a ON a.sync_run_id = r.id
            LEFT JOIN (
                SELECT w.sync_run_id, w.person_id, coalesce(w.record_id, '') AS record_id,
                       coalesce(w.field, '') AS field,
                       bool_or(w.side = 'store') AS in_store,
                       bool_or(w.side = 'salesforce') AS in_salesforce
                FROM opt_out_sync.sync_run AS of
                JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = of.id
                WHERE of.kind IN ('night', 'replay') AND of.night = attempt.night
                  AND w.outcome IN ('applied', 'confirmed')
                GROUP BY 1, 2, 3, 4
            ) AS done
                ON done.sync_run_id = a.sync_run_id
               AND done.person_id = a.person_id
               AND done.record_id = coalesce(a.record_id, '')
               AND done.field = coalesce(a.field, '')
            WHERE r.kind IN ('night', 'replay') AND r.night = attempt.night
              AND r.plan_only = coalesce(shown.plan_only, attempt.is_planned)
        ) AS d
        GROUP BY d.person_id, d.record_id, d.field
    ) AS link
) AS decided
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE w.is_last_of_run AND w.outcome IN ('applied', 'confirmed'))
               AS applied,
           count(*) FILTER (WHERE w.is_last AND w.outcome = 'failed') AS failed,
           count(*) FILTER (WHERE w.is_last AND w.outcome = 'held') AS held
    FROM (
        SELECT w.outcome,
               w.id = max(w.id) OVER (PARTITION BY w.person_id, w.record_id, w.field, w.side)
                   AS is_last,
               w.id = max(w.id) OVER (PARTITION BY w.person_id, w.record_id, w.field, w.side,
                                                   w.sync_run_id) AS is_last_of_run
        FROM opt_out_sync.sync_run AS r
        JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = r.id
        WHERE r.kind IN ('night', 'replay') AND r.night = attempt.night
    ) AS w
) AS written;

-- As in 0008, and as quick as v_night_report: a night that is over was counted when its run ended. If it
-- was run more than once, what each run wrote is summed from the rows; when its month is thinned, it
-- keeps the numbers that were counted before.
CREATE OR REPLACE VIEW opt_out_sync.v_night AS
WITH attempt AS (
    SELECT night,
           count(*) FILTER (WHERE kind = 'night') AS attempts,
           count(*) FILTER (WHERE kind = 'replay') AS replays,
           coalesce(min(started_at) FILTER (WHERE kind = 'night' AND is_real),
                    min(started_at) FILTER (WHERE kind = 'night')) AS started_at,
           coalesce(max(id) FILTER (WHERE kind = 'night' AND is_real),
                    max(id) FILTER (WHERE kind = 'night')) AS shown_id,
           bool_and(plan_only) AS is_planned,
           count(*) FILTER (WHERE is_real) = 1 AND bool_and(state <> 'open') AS is_counted
    FROM (
        SELECT *, NOT plan_only AND state <> 'skipped' AS is_real FROM opt_out_sync.sync_run
    ) AS run
    WHERE kind IN ('night', 'replay')
    GROUP BY night
)
SELECT attempt.night,
       attempt.attempts,
       coalesce(shown.state, 'missed') AS state,
       shown.reason,
       coalesce(shown.plan_only, attempt.is_planned) AS plan_only,
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
       attempt.replays
FROM attempt
LEFT JOIN opt_out_sync.sync_run AS shown ON shown.id = attempt.shown_id
LEFT JOIN opt_out_sync.night_tally AS t
    ON t.night = attempt.night
   AND (attempt.is_counted OR EXISTS (
           SELECT FROM opt_out_sync.audit_thinning AS thinned
           WHERE thinned.month = date_trunc('month', attempt.started_at AT TIME ZONE 'UTC')
       ))
CROSS JOIN LATERAL (
    SELECT t.decisions, t.opt_outs_to_store, t.opt_outs_to_salesforce, t.clears_to_store,
           t.clears_to_salesforce, t.applied, t.failed, t.held
    WHERE t.night IS NOT NULL
    UNION ALL
    SELECT n.decisions, n.opt_outs_to_store, n.opt_outs_to_salesforce, n.clears_to_store,
           n.clears_to_salesforce, n.applied, n.failed, n.held
    FROM opt_out_sync.v_night_counted AS n
    WHERE n.night = attempt.night AND t.night IS NULL
) AS counted;

-- Loads that leave little behind. A base that moves is no longer part of an index, so that the row's
-- new version stays on its page (a HOT update), where a tenth is left free for it.
DROP INDEX opt_out_sync.link_opted_out_field;
ALTER TABLE opt_out_sync.link SET (
    fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02
);
-- Queues: small, and changed all the time. What is dead in them is in the way of the next look.
ALTER TABLE opt_out_sync.push_signal SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000
);
ALTER TABLE opt_out_sync.push_outbox SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000
);

-- What a page is found by, in a third of the space. Rows of a run have one time, and a record few rows:
-- without the id equal entries are stored once, and what shares an entry is sorted when it is shown.
DROP INDEX opt_out_sync.merge_audit_code, opt_out_sync.merge_audit_record;
CREATE INDEX merge_audit_code ON opt_out_sync.merge_audit (code, decided_at);
CREATE INDEX merge_audit_record ON opt_out_sync.merge_audit (record_id);
