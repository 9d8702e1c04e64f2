-- Adds or changes people on the list; returns only those. Grain: one row per person.
INSERT INTO opt_out_sync.unlinked_person AS known
    (person_id, salesforce_id, code, since, sync_run_id)
SELECT person_id, salesforce_id, code, :now, :run_id
FROM seen_unlinked
ON CONFLICT (person_id) DO UPDATE
    SET salesforce_id = excluded.salesforce_id, code = excluded.code, since = excluded.since,
        sync_run_id = excluded.sync_run_id
    WHERE (known.salesforce_id, known.code) IS DISTINCT FROM (excluded.salesforce_id, excluded.code)
RETURNING person_id, salesforce_id, code
