-- What became of claimed people. Who changed since they were claimed waits again, from now on.
-- Grain: one row per person.
UPDATE opt_out_sync.push_outbox AS o
SET state = CASE WHEN o.version <> s.version THEN 'waiting' ELSE s.state END,
    attempts = CASE WHEN s.failure_class IS NULL THEN 0 ELSE o.attempts + 1 END,
    next_attempt_at = CASE WHEN o.version <> s.version THEN CAST(:now AS timestamptz)
                           ELSE s.next_attempt_at END,
    claimed_by = NULL,
    failure_class = s.failure_class,
    code = s.code,
    fix = s.fix,
    closed_at = CASE WHEN o.version = s.version AND s.state = 'closed'
                     THEN CAST(:now AS timestamptz) END
FROM settled AS s
WHERE o.person_id = s.person_id AND o.claimed_by = :run_id
