-- One act for each person asked for who exists and is not opted out. Grain: one row per row asked.
WITH state AS MATERIALIZED (
    SELECT asked.person_id,
           asked.caused_by,
           asked.idempotency_key,
           known.act_id,
           coalesce(known.is_opted_out, false) AS already_opted_out
    FROM asked_opt_out AS asked
    LEFT JOIN engagement.states_of(:person_ids, :scopes, :with_bounces) AS known USING (person_id)
    ORDER BY asked.person_id
)
SELECT person_id,
       CASE WHEN already_opted_out THEN act_id
            ELSE engagement.record_sync_act(person_id, 'unsubscribe', caused_by, :occurred_at,
                                            idempotency_key)
       END AS act_id,
       already_opted_out
FROM state
