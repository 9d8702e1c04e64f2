-- One clear for each person asked for, unless somebody opted out since the plan was made; a call
-- that is repeated finds its own acts. The people are locked. Grain: one row per row asked.
WITH planned AS MATERIALIZED (
    SELECT asked.person_id,
           asked.caused_by,
           asked.occurred_at,
           asked.idempotency_key,
           NOT EXISTS (
               SELECT FROM engagement.unsubscribe AS done
               WHERE done.idempotency_key = asked.idempotency_key
           ) AND (
               -- who gave the resubscribe was erased: the plan was made without that knowledge
               (e.act_id IS NULL AND NOT starts_with(asked.caused_by, 'salesforce:'))
               OR EXISTS (
                   SELECT FROM engagement.standing_opt_out AS s
                   WHERE s.person_id = asked.person_id
                     AND s.scope = ANY (:scopes) AND (:with_bounces OR s.origin <> 'Bounce')
                     AND CASE
                             WHEN s.origin = 'Salesforce Sync' THEN s.recorded_at > :read_at
                             WHEN e.act_id IS NULL THEN
                                 s.recorded_at > :read_at
                                 OR NOT engagement.cleared_box_ends(s.origin)
                             WHEN e.person_id <> asked.person_id THEN true
                             ELSE NOT engagement.resubscribe_ends(
                                 s.origin, s.at, s.act_id,
                                 e.at, e.act_id, e.is_evidence, e.is_by_person)
                         END
               )
           ) AS is_superseded
    FROM asked_clear AS asked
    LEFT JOIN engagement.own_resubscribe AS e
        ON e.act_id = CASE WHEN starts_with(asked.caused_by, 'act:')
                           THEN CAST(substr(asked.caused_by, 5) AS bigint) END
    ORDER BY asked.person_id
)
SELECT person_id,
       CASE WHEN NOT is_superseded THEN
           engagement.record_act(person_id, 'resubscribe', 'team', 'Salesforce Sync', NULL, NULL,
                                 NULL, NULL, caused_by, occurred_at, idempotency_key)
       END AS act_id,
       is_superseded
FROM planned
