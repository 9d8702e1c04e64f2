-- What holds these people opted out. Grain: one row per unsubscribe that stands.
-- OFFSET 0 keeps it one look-up per person: for a thousand people among millions the planner would
-- rather read every act there is.
SELECT s.act_id, s.person_id, s.at, s.scope, s.origin, s.caused_by
FROM unnest(CAST(:person_ids AS bigint[])) AS asked (person_id)
CROSS JOIN LATERAL (
    SELECT * FROM engagement.standing_opt_out AS one
    WHERE one.person_id = asked.person_id
    OFFSET 0
) AS s
ORDER BY s.act_id
