-- What holds people opted out, in every scope. Grain: one row per unsubscribe that stands.
SELECT act_id, person_id, at, scope, origin, caused_by
FROM engagement.standing_opt_out
