-- Who changed a value after it was written: a user of Salesforce, by Id, and when. Null where nobody
-- did, or Salesforce does not tell.
ALTER TABLE opt_out_sync.write_attempt
    ADD COLUMN changed_by text,
    ADD COLUMN changed_at timestamptz;

-- What undid an opt-out in Salesforce: found when it was read back, or by a later night. Grain: one
-- row per link and run that found it, newest first.
CREATE VIEW opt_out_sync.v_undone AS
SELECT r.night,
       found.sync_run_id,
       found.person_id,
       found.object,
       found.record_id,
       found.field,
       found.changed_by,
       found.changed_at,
       found.found_by
FROM (
    SELECT w.sync_run_id, w.person_id, w.object, w.record_id, w.field, w.changed_by, w.changed_at,
           'read back' AS found_by, w.attempted_at AS found_at
    FROM opt_out_sync.write_attempt AS w
    WHERE w.code = 'CHANGED_AFTER_WRITE' AND w.side = 'salesforce' AND w.target
    UNION ALL
    SELECT a.sync_run_id, a.person_id, a.object, a.record_id, a.field, a.salesforce_modified_by,
           a.salesforce_modified_at, 'compared', a.decided_at
    FROM opt_out_sync.merge_audit AS a
    WHERE a.code IN ('CLEARED_IN_SALESFORCE_ONLY', 'TUG_OF_WAR')
) AS found
JOIN opt_out_sync.sync_run AS r ON r.id = found.sync_run_id
ORDER BY found.found_at DESC, found.person_id, found.record_id, found.field;

GRANT SELECT ON opt_out_sync.v_undone TO opt_out_analyst, opt_out_admin, opt_out_sync_writer;
