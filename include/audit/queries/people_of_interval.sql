-- Whom a past night is about: who recorded an act in its interval, and whose newest write by a run
-- of that night failed or was held. Grain: one row per person.
SELECT u.person_id
FROM engagement.unsubscribe AS u
WHERE u.recorded_at >= :start AND u.recorded_at < :end
UNION
SELECT newest.person_id
FROM (
    SELECT DISTINCT ON (w.person_id, w.record_id, w.field, w.side) w.person_id, w.outcome
    FROM opt_out_sync.sync_run AS r
    JOIN opt_out_sync.write_attempt AS w ON w.sync_run_id = r.id
    WHERE r.kind IN ('night', 'replay') AND r.night = :night AND w.org_id = :org_id
    ORDER BY w.person_id, w.record_id, w.field, w.side, w.id DESC
) AS newest
WHERE newest.outcome IN ('failed', 'held')
