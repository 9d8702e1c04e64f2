-- The base of a decided link moves when nothing had to be written (both sides were seen to agree),
-- or when every write of the decision was read back: its newest outcome (the highest id, because
-- workers' clocks differ) is 'confirmed'. Other decided links are only made known.
-- Returns how many bases moved.
WITH confirmed AS MATERIALIZED (
    SELECT person_id, record_id, field, side
    FROM (
        SELECT DISTINCT ON (person_id, record_id, field, side)
               person_id, record_id, field, side, outcome
        FROM opt_out_sync.write_attempt
        WHERE sync_run_id = :run_id
        ORDER BY person_id, record_id, field, side, id DESC
    ) AS newest
    WHERE outcome = 'confirmed'
), decided AS (
    SELECT DISTINCT ON (d.person_id, d.record_id, d.field)
           d.org_id, d.person_id, d.record_id, d.object, d.field,
           CASE WHEN (d.target_store IS NULL OR store.side IS NOT NULL)
                 AND (d.target_salesforce IS NULL OR salesforce.side IS NOT NULL)
                THEN d.new_base
           END AS new_base
    FROM opt_out_sync.merge_audit AS d
    LEFT JOIN confirmed AS store
        ON store.person_id = d.person_id AND store.record_id = d.record_id
       AND store.field = d.field AND store.side = 'store'
    LEFT JOIN confirmed AS salesforce
        ON salesforce.person_id = d.person_id AND salesforce.record_id = d.record_id
       AND salesforce.field = d.field AND salesforce.side = 'salesforce'
    WHERE d.sync_run_id = :run_id AND d.record_id IS NOT NULL AND d.field IS NOT NULL
    ORDER BY d.person_id, d.record_id, d.field, d.id DESC
), moved AS (
    INSERT INTO opt_out_sync.link AS l
        (org_id, person_id, record_id, object, field, base, base_since, base_run_id, first_seen_at)
    SELECT org_id, person_id, record_id, object, field, new_base,
           CASE WHEN new_base IS NOT NULL THEN CAST(:now AS timestamptz) END,
           CASE WHEN new_base IS NOT NULL THEN CAST(:run_id AS bigint) END,
           :now
    FROM decided
    ON CONFLICT (org_id, person_id, record_id, field) DO UPDATE
        SET base = excluded.base, base_since = excluded.base_since,
            base_run_id = excluded.base_run_id
        WHERE excluded.base IS NOT NULL AND l.base IS DISTINCT FROM excluded.base
    RETURNING l.base
)
SELECT count(*) FROM moved WHERE base IS NOT NULL
