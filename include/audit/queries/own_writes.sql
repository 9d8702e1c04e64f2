-- Opt-outs in Salesforce that our newest confirmed write set, dated by the act that it carried.
-- Grain: one row per record and field.
SELECT newest.record_id, newest.field, u.id AS act_id,
       least(u.occurred_at, u.recorded_at) AS act_at
FROM (
    SELECT DISTINCT ON (w.record_id, w.field)
           w.record_id, w.field, w.target, w.person_id, w.sync_run_id
    FROM asked_record AS asked
    JOIN opt_out_sync.write_attempt AS w ON w.record_id = asked.record_id
    WHERE w.org_id = :org_id AND w.side = 'salesforce' AND w.outcome = 'confirmed'
      AND w.field = ANY (:fields)
    ORDER BY w.record_id, w.field, w.id DESC
) AS newest
CROSS JOIN LATERAL (
    SELECT a.cause
    FROM opt_out_sync.merge_audit AS a
    WHERE a.person_id = newest.person_id AND a.sync_run_id = newest.sync_run_id
      AND a.record_id = newest.record_id AND a.field = newest.field
    ORDER BY a.id DESC
    LIMIT 1
) AS decided
JOIN engagement.unsubscribe AS u
    ON u.id = CAST(substring(decided.cause FROM '^act:([0-9]+)$') AS bigint)
WHERE newest.target
ORDER BY newest.record_id, newest.field
