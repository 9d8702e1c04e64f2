-- Lets claims go whose run has ended, or whose lease has: it was killed, and can commit nothing any
-- more. Grain: one row per person.
WITH ended AS (
    UPDATE opt_out_sync.sync_run
    SET state = 'failed', closed_at = :now, reason = 'its lease expired: it was killed'
    WHERE kind = 'push' AND state = 'open' AND lease_expires_at < :now
    RETURNING id
)
UPDATE opt_out_sync.push_outbox AS o
SET state = 'waiting', claimed_by = NULL, next_attempt_at = least(o.next_attempt_at, :now)
WHERE o.state = 'claimed'
  AND (o.claimed_by IN (SELECT id FROM ended)
       OR NOT EXISTS (
           SELECT FROM opt_out_sync.sync_run AS r WHERE r.id = o.claimed_by AND r.state = 'open'
       ))
