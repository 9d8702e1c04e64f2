-- Claims the people who are due, those who have waited longest first. Grain: one row per person.
UPDATE opt_out_sync.push_outbox AS o
SET state = 'claimed', claimed_by = :run_id
FROM (
    SELECT person_id
    FROM opt_out_sync.push_outbox
    WHERE state IN ('waiting', 'parked') AND next_attempt_at <= :now
    ORDER BY next_attempt_at, person_id
    LIMIT :most
    FOR UPDATE SKIP LOCKED
) AS due
WHERE o.person_id = due.person_id
RETURNING o.person_id, o.version, o.attempts, o.marked_at, o.code
