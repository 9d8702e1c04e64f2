-- Turns signals into rows of the outbox: one per person, however often they changed. Somebody who is
-- claimed stays so, and the version tells that claim that it looked too early.
WITH taken AS (
    DELETE FROM opt_out_sync.push_signal
    WHERE id IN (
        SELECT id FROM opt_out_sync.push_signal ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
    )
    RETURNING person_id, signalled_at
)
INSERT INTO opt_out_sync.push_outbox AS o (person_id, state, version, marked_at, next_attempt_at)
SELECT person_id, 'waiting', 1, min(signalled_at), least(min(signalled_at), CAST(:now AS timestamptz))
FROM taken
GROUP BY person_id
ORDER BY person_id
ON CONFLICT (person_id) DO UPDATE
    SET version = o.version + 1,
        state = CASE WHEN o.state = 'claimed' THEN o.state ELSE 'waiting' END,
        attempts = CASE WHEN o.state = 'closed' THEN 0 ELSE o.attempts END,
        marked_at = CASE WHEN o.state = 'closed' THEN excluded.marked_at
                         ELSE least(o.marked_at, excluded.marked_at) END,
        next_attempt_at = excluded.next_attempt_at,
        code = CASE WHEN o.state <> 'closed' THEN o.code END,
        fix = CASE WHEN o.state <> 'closed' THEN o.fix END,
        closed_at = NULL
