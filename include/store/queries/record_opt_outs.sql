-- One act for each person asked for who exists and is not opted out. Grain: one row per row asked.
WITH state AS MATERIALIZED (
    SELECT asked.person_id,
           asked.caused_by,
           asked.idempotency_key,
           known.act_id,
           coalesce(known.is_opted_out, false) AS already_opted_out
    FROM asked_opt_out AS asked
    LEFT JOIN engagement.states_of(:person_ids, :scopes, :with_bounces) AS known USING (person_id)
), asked AS (
    SELECT array_agg(person_id ORDER BY person_id) AS person_ids,
           array_agg(caused_by ORDER BY person_id) AS causes,
           array_agg(idempotency_key ORDER BY person_id) AS keys
    FROM state
    WHERE NOT already_opted_out
), added AS MATERIALIZED (
    SELECT act.person_id, act.act_id
    FROM asked, engagement.record_sync_opt_outs(person_ids, causes, :occurred_at, keys) AS act
)
SELECT state.person_id, coalesce(state.act_id, added.act_id) AS act_id, state.already_opted_out
FROM state
LEFT JOIN added USING (person_id)
ORDER BY state.person_id
