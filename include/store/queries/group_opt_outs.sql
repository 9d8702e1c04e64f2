-- What holds these people opted out. Grain: one row per unsubscribe that stands.
SELECT s.act_id, s.person_id, s.at, s.scope, s.origin, s.caused_by
FROM engagement.standing_opt_out AS s
WHERE s.person_id = ANY (:person_ids)
ORDER BY s.act_id
