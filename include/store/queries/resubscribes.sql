-- What a run may have to judge. Grain: one row per resubscribe.
SELECT act_id, person_id, at, recorded_at, origin, is_evidence, is_accepted
FROM engagement.open_resubscribe
