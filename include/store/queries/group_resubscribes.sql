-- What may have to be judged of these people. Grain: one row per resubscribe.
-- OFFSET 0 keeps it one look-up per person, as for opt-outs.
SELECT r.act_id, r.person_id, r.at, r.recorded_at, r.origin, r.is_evidence, r.is_accepted
FROM unnest(CAST(:person_ids AS bigint[])) AS asked (person_id)
CROSS JOIN LATERAL (
    SELECT * FROM engagement.open_resubscribe AS one
    WHERE one.person_id = asked.person_id
    OFFSET 0
) AS r
ORDER BY r.act_id
