-- What the sync knows and has done: settings, runs, links, decisions and writes.

CREATE FUNCTION opt_out_sync.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'opt_out_sync.% is insert-only: its rows are evidence', TG_TABLE_NAME
        USING ERRCODE = 'OS001';
END
$$;

CREATE TABLE opt_out_sync.settings_version (
    version  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    saved_at timestamptz NOT NULL,
    saved_by text NOT NULL,
    note     text NOT NULL,
    document jsonb NOT NULL
);
INSERT INTO opt_out_sync.settings_version (saved_at, saved_by, note, document) VALUES (
    now(), 'installation', 'Defaults: disabled until an admin enables the sync.',
    '{"enabled": false, "paused": false, "field_mode": "email_opt_out",
      "sales_opt_out_field": "Sales_Opt_Out__c", "conflict_rule": "opt_out_wins",
      "max_open_failures": 0, "bulk_threshold": 2000, "api_reserve": 500,
      "synced_scopes": ["team"], "bounces_sync": false}'
);

CREATE TABLE opt_out_sync.sync_run (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind                  text NOT NULL,
    state                 text NOT NULL,
    reason                text,
    org_id                text,
    night                 date,
    interval_start        timestamptz,
    interval_end          timestamptz,
    airflow_run_id        text NOT NULL,
    attempt               integer NOT NULL,
    settings_version      integer NOT NULL
        REFERENCES opt_out_sync.settings_version (version),
    plan_only             boolean NOT NULL DEFAULT false,
    started_at            timestamptz NOT NULL,
    lease_expires_at      timestamptz NOT NULL,
    extraction_started_at timestamptz,
    closed_at             timestamptz,
    counts                jsonb,
    CONSTRAINT sync_run_kind
        CHECK (kind IN ('night', 'push', 'held_clears', 'replay', 'correction')),
    CONSTRAINT sync_run_state
        CHECK (state IN ('open', 'closed', 'failed', 'superseded', 'planned', 'skipped')),
    CONSTRAINT sync_run_attempt UNIQUE (kind, airflow_run_id, attempt)
);
-- One night at a time; the key is the state because it is the same for all rows of the index.
CREATE UNIQUE INDEX sync_run_one_open_night ON opt_out_sync.sync_run (state)
    WHERE state = 'open' AND kind IN ('night', 'replay', 'held_clears', 'correction');
CREATE INDEX sync_run_night ON opt_out_sync.sync_run (night);

CREATE TABLE opt_out_sync.sync_step (
    sync_run_id bigint NOT NULL REFERENCES opt_out_sync.sync_run (id),
    step        text NOT NULL,
    fence       integer NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    counts      jsonb,
    PRIMARY KEY (sync_run_id, step)
);

CREATE TABLE opt_out_sync.salesforce_job (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_run_id bigint NOT NULL REFERENCES opt_out_sync.sync_run (id),
    step        text NOT NULL,
    fence       integer NOT NULL,
    object      text NOT NULL,
    operation   text NOT NULL,
    job_id      text CONSTRAINT salesforce_job_job_id UNIQUE,
    state       text NOT NULL,
    processed   integer,
    failed      integer,
    planned_at  timestamptz NOT NULL,
    created_at  timestamptz,
    finished_at timestamptz
);
CREATE INDEX salesforce_job_run ON opt_out_sync.salesforce_job (sync_run_id);

-- The tables below are filled in bulk. They name people of a store that may be the user's own, and
-- runs whose row is locked while they are written, so foreign keys would cost and add nothing.
CREATE TABLE opt_out_sync.link (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id            text NOT NULL,
    person_id         bigint NOT NULL,
    record_id         text NOT NULL,
    object            text NOT NULL,
    field             text NOT NULL,
    base              boolean,
    base_since        timestamptz,
    base_run_id       bigint,
    state             text NOT NULL DEFAULT 'active',
    not_visible_since timestamptz,
    first_seen_at     timestamptz NOT NULL,
    CONSTRAINT link_state CHECK (state IN ('active', 'gone', 'retired')),
    CONSTRAINT link_record_id CHECK (length(record_id) = 18),
    CONSTRAINT link_base_has_a_time CHECK ((base IS NULL) = (base_since IS NULL)),
    CONSTRAINT link_once UNIQUE (org_id, person_id, record_id, field)
);
CREATE INDEX link_org_field ON opt_out_sync.link (org_id, field);

CREATE TABLE opt_out_sync.unlinked_person (
    person_id     bigint PRIMARY KEY,
    salesforce_id text,
    code          text NOT NULL,
    since         timestamptz NOT NULL,
    sync_run_id   bigint NOT NULL
);

CREATE TABLE opt_out_sync.merge_audit (
    id                      bigint GENERATED ALWAYS AS IDENTITY,
    decided_at              timestamptz NOT NULL,
    sync_run_id             bigint NOT NULL,
    org_id                  text NOT NULL,
    person_id               bigint NOT NULL,
    record_id               text,
    object                  text,
    field                   text,
    base                    boolean,
    store_is_opted_out      boolean,
    salesforce_is_opted_out boolean,
    store_opted_out_at      timestamptz,
    store_origin            text,
    salesforce_modified_at  timestamptz,
    salesforce_modified_by  text,
    target_store            boolean,
    target_salesforce       boolean,
    new_base                boolean,
    rule                    text NOT NULL,
    code                    text NOT NULL,
    cause                   text,
    reason                  text NOT NULL,
    PRIMARY KEY (id, decided_at),
    CONSTRAINT merge_audit_once UNIQUE NULLS NOT DISTINCT
        (sync_run_id, person_id, record_id, field, decided_at)
) PARTITION BY RANGE (decided_at);
CREATE INDEX merge_audit_person ON opt_out_sync.merge_audit (person_id, decided_at);

CREATE TABLE opt_out_sync.write_attempt (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    attempted_at  timestamptz NOT NULL,
    sync_run_id   bigint NOT NULL,
    org_id        text NOT NULL,
    person_id     bigint NOT NULL,
    record_id     text NOT NULL,
    object        text NOT NULL,
    field         text NOT NULL,
    side          text NOT NULL,
    target        boolean NOT NULL,
    outcome       text NOT NULL,
    failure_class text,
    code          text,
    fix           text,
    job_id        text,
    act_id        bigint,
    PRIMARY KEY (id, attempted_at),
    CONSTRAINT write_attempt_side CHECK (side IN ('store', 'salesforce')),
    CONSTRAINT write_attempt_outcome
        CHECK (outcome IN ('applied', 'confirmed', 'failed', 'held', 'superseded')),
    CONSTRAINT write_attempt_failure_class CHECK (
        failure_class IN ('retry', 'permission', 'validation', 'gone', 'changed')
    ),
    CONSTRAINT write_attempt_failure_is_explained
        CHECK (outcome <> 'failed' OR (failure_class IS NOT NULL AND code IS NOT NULL)),
    CONSTRAINT write_attempt_once UNIQUE
        (sync_run_id, person_id, record_id, field, side, outcome, attempted_at)
) PARTITION BY RANGE (attempted_at);
CREATE INDEX write_attempt_person ON opt_out_sync.write_attempt (person_id, attempted_at);
CREATE INDEX write_attempt_record ON opt_out_sync.write_attempt (record_id, field, attempted_at);

CREATE TABLE opt_out_sync.merge_audit_default PARTITION OF opt_out_sync.merge_audit DEFAULT;
CREATE TABLE opt_out_sync.write_attempt_default PARTITION OF opt_out_sync.write_attempt DEFAULT;

-- Row triggers are inherited by partitions, statement triggers (the only kind TRUNCATE has) are not.
CREATE TRIGGER settings_version_insert_only BEFORE UPDATE OR DELETE
    ON opt_out_sync.settings_version
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER merge_audit_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.merge_audit
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER write_attempt_insert_only BEFORE UPDATE OR DELETE ON opt_out_sync.write_attempt
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER settings_version_no_truncate BEFORE TRUNCATE ON opt_out_sync.settings_version
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER merge_audit_no_truncate BEFORE TRUNCATE ON opt_out_sync.merge_audit
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER merge_audit_no_truncate BEFORE TRUNCATE ON opt_out_sync.merge_audit_default
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER write_attempt_no_truncate BEFORE TRUNCATE ON opt_out_sync.write_attempt
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();
CREATE TRIGGER write_attempt_no_truncate BEFORE TRUNCATE ON opt_out_sync.write_attempt_default
    FOR EACH STATEMENT EXECUTE FUNCTION opt_out_sync.refuse_change();

-- Creates the partition of one month (UTC) unless it exists. A month whose rows already went to the
-- default partition stays there: they cannot be moved out of an insert-only table.
CREATE FUNCTION opt_out_sync.ensure_audit_partition(audit_table text, time_column text, month timestamp)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition text := format('%s_%s', audit_table, to_char(month, 'YYYY_MM'));
    first_at timestamptz := month AT TIME ZONE 'UTC';
    end_at timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    is_taken boolean;
BEGIN
    IF to_regclass('opt_out_sync.' || quote_ident(partition)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('opt_out_sync.ensure_audit_partition'));
    EXECUTE format('SELECT EXISTS (SELECT FROM opt_out_sync.%I WHERE %I >= %L AND %I < %L)',
                   audit_table || '_default', time_column, first_at, time_column, end_at)
        INTO is_taken;
    IF is_taken OR to_regclass('opt_out_sync.' || quote_ident(partition)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE opt_out_sync.%I PARTITION OF opt_out_sync.%I '
                   'FOR VALUES FROM (%L) TO (%L)', partition, audit_table, first_at, end_at);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON opt_out_sync.%I FOR EACH STATEMENT '
                   'EXECUTE FUNCTION opt_out_sync.refuse_change()',
                   audit_table || '_no_truncate', partition);
END
$$;

-- Creates the partitions of one audit table for the month of `at` and the next one. It locks that
-- table: call it once per table, each in a transaction of its own, and nobody waits in a circle.
-- Runs with its owner's rights, because only an owner can add a partition.
CREATE FUNCTION opt_out_sync.ensure_audit_partitions(audited_table text, at timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT opt_out_sync.ensure_audit_partition(
        audited.audit_table, audited.time_column,
        date_trunc('month', at AT TIME ZONE 'UTC') + ahead * interval '1 month')
    FROM (VALUES ('merge_audit', 'decided_at'), ('write_attempt', 'attempted_at'))
             AS audited (audit_table, time_column),
         generate_series(0, 1) AS ahead
    WHERE audited.audit_table = audited_table
$$;
REVOKE EXECUTE ON FUNCTION opt_out_sync.ensure_audit_partition, opt_out_sync.ensure_audit_partitions
    FROM PUBLIC;
