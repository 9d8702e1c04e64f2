-- The base of a decided link moves when both sides were seen to agree: nothing had to be written,
-- or what was written was read back (its newest outcome is 'confirmed'; the newest is the highest
-- id, because workers' clocks differ). One write to the store speaks for all links of a person, one
-- to Salesforce for all people of a record, so a link waits for those too, whichever row plans them.
-- The newest decision of a link is the one that counts. Other decided links are only made known. A
-- base that another run moved after this one had begun to read stays: it is newer knowledge.
-- Returns how many bases moved.
WITH confirmed AS MATERIALIZED (
    SELECT person_id, record_id, field, side, target
    FROM (
        SELECT DISTINCT ON (person_id, record_id, field, side)
               person_id, record_id, field, side, target, outcome
        FROM opt_out_sync.write_attempt
        WHERE sync_run_id = :run_id
          AND (CAST(:person_ids AS bigint[]) IS NULL
               OR person_id = ANY (CAST(:person_ids AS bigint[])))
        ORDER BY person_id, record_id, field, side, id DESC
    ) AS newest
    WHERE outcome = 'confirmed'
), decided AS MATERIALIZED (
    SELECT DISTINCT ON (person_id, record_id, field)
           org_id, person_id, record_id, object, field, target_store, target_salesforce, new_base
    FROM opt_out_sync.merge_audit
    WHERE sync_run_id = :run_id
      AND (CAST(:person_ids AS bigint[]) IS NULL
           OR person_id = ANY (CAST(:person_ids AS bigint[])))
    ORDER BY person_id, record_id, field, id DESC
), waiting_person AS MATERIALIZED (
    SELECT DISTINCT d.person_id
    FROM decided AS d
    WHERE d.target_store IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM confirmed AS c
          WHERE c.side = 'store' AND c.person_id = d.person_id AND c.target = d.target_store
            AND c.record_id IS NOT DISTINCT FROM d.record_id
            AND c.field IS NOT DISTINCT FROM d.field
      )
), waiting_record AS MATERIALIZED (
    SELECT DISTINCT d.record_id, d.field
    FROM decided AS d
    WHERE d.target_salesforce IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM confirmed AS c
          WHERE c.side = 'salesforce' AND c.person_id = d.person_id
            AND c.target = d.target_salesforce
            AND c.record_id = d.record_id AND c.field = d.field
      )
), moving AS (
    SELECT d.org_id, d.person_id, d.record_id, d.object, d.field,
           CASE WHEN person.person_id IS NULL AND record.record_id IS NULL THEN d.new_base
           END AS new_base
    FROM decided AS d
    LEFT JOIN waiting_person AS person ON person.person_id = d.person_id
    LEFT JOIN waiting_record AS record
        ON record.record_id = d.record_id AND record.field = d.field
    WHERE d.record_id IS NOT NULL AND d.field IS NOT NULL
    ORDER BY d.person_id, d.record_id, d.field
), moved AS (
    INSERT INTO opt_out_sync.link AS l
        (org_id, person_id, record_id, object, field, base, base_since, base_run_id, first_seen_at)
    SELECT org_id, person_id, record_id, object, field, new_base,
           CASE WHEN new_base IS NOT NULL THEN CAST(:now AS timestamptz) END,
           CASE WHEN new_base IS NOT NULL THEN CAST(:run_id AS bigint) END,
           :now
    FROM moving
    ON CONFLICT (org_id, person_id, record_id, field) DO UPDATE
        SET base = excluded.base, base_since = excluded.base_since,
            base_run_id = excluded.base_run_id,
            -- The opt-out that evidence covered is gone, or this is a new one.
            evidence_id = NULL,
            flips = CASE WHEN excluded.base THEN l.flips ELSE 0 END
        WHERE excluded.base IS NOT NULL AND l.base IS DISTINCT FROM excluded.base
          AND (l.base IS NULL OR l.base_since <= :read_at OR l.base_run_id = :run_id)
    RETURNING l.base
)
SELECT count(*) FROM moved WHERE base IS NOT NULL
