-- Opt-outs in Salesforce that our newest write set and that were read back, dated by the newest act
-- that they carried: the people of one record are written together, each for an act of their own.
-- A value that carried anything but acts of the store has no exact date and is left out, and so is
-- one that we wrote again and did not read back. Grain: one row per record and field.
WITH written AS (
    SELECT w.id, w.record_id, w.field, w.sync_run_id, w.person_id, w.target, w.outcome
    FROM asked_record AS asked
    JOIN opt_out_sync.write_attempt AS w ON w.record_id = asked.record_id
    WHERE w.org_id = :org_id AND w.side = 'salesforce' AND w.field = ANY (:fields)
      AND w.outcome IN ('applied', 'confirmed')
), newest AS (
    SELECT DISTINCT ON (record_id, field) record_id, field, sync_run_id, target, outcome
    FROM written
    ORDER BY record_id, field, id DESC
), carried AS (
    SELECT newest.record_id, newest.field, u.id AS act_id,
           least(u.occurred_at, u.recorded_at) AS act_at,
           bool_and(u.id IS NOT NULL) OVER (PARTITION BY newest.record_id, newest.field) AS is_exact
    FROM newest
    JOIN (SELECT DISTINCT record_id, field, sync_run_id, person_id FROM written) AS of
        USING (record_id, field, sync_run_id)
    LEFT JOIN LATERAL (
        SELECT a.cause
        FROM opt_out_sync.merge_audit AS a
        WHERE a.person_id = of.person_id AND a.sync_run_id = of.sync_run_id
          AND a.record_id = of.record_id AND a.field = of.field AND a.target_salesforce
        ORDER BY a.id DESC
        LIMIT 1
    ) AS decided ON true
    LEFT JOIN engagement.unsubscribe AS u
        ON u.id = CAST(substring(decided.cause FROM '^act:([0-9]+)$') AS bigint)
       AND u.kind = 'unsubscribe'
    WHERE newest.target AND newest.outcome = 'confirmed'
)
SELECT DISTINCT ON (record_id, field) record_id, field, act_id, act_at
FROM carried
WHERE is_exact
ORDER BY record_id, field, act_at DESC, act_id DESC
