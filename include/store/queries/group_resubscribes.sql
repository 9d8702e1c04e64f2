-- What may have to be judged of these people. Grain: one row per resubscribe.
SELECT r.act_id, r.person_id, r.at, r.recorded_at, r.origin, r.is_evidence, r.is_accepted
FROM engagement.open_resubscribe AS r
WHERE r.person_id = ANY (:person_ids)
ORDER BY r.act_id
