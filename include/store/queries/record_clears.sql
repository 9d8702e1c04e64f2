-- One clear for each person asked for, unless somebody opted out since the plan was made; a call
-- that is repeated finds its own acts. The people are locked. Grain: one row per row asked.
WITH opt_out AS MATERIALIZED (
    SELECT s.person_id, s.act_id, s.at, s.origin, s.act_id = ANY (CAST(:known AS bigint[])) AS is_known
    FROM asked_clear AS asked
    JOIN engagement.standing_opt_out AS s USING (person_id)
    WHERE s.scope = ANY (:scopes) AND (:with_bounces OR s.origin <> 'Bounce')
), planned AS MATERIALIZED (
    SELECT asked.person_id,
           asked.caused_by,
           asked.occurred_at,
           asked.idempotency_key,
           coalesce(e.is_evidence, false) AS is_evidence,
           NOT EXISTS (
               SELECT FROM engagement.sync_act AS done
               WHERE done.idempotency_key = asked.idempotency_key
           ) AND (
               -- who gave the resubscribe was erased: the plan was made without that knowledge
               (e.act_id IS NULL AND NOT starts_with(asked.caused_by, 'salesforce:'))
               OR EXISTS (
                   SELECT FROM opt_out AS s
                   WHERE s.person_id = asked.person_id
                     AND CASE
                             WHEN s.origin = 'Salesforce Sync' THEN NOT s.is_known
                             WHEN e.act_id IS NULL THEN
                                 NOT (s.is_known AND engagement.change_ends(s.origin))
                             WHEN e.person_id <> asked.person_id THEN true
                             ELSE NOT (
                                 (s.is_known OR e.is_evidence)
                                 AND engagement.resubscribe_ends(
                                     s.origin, s.at, s.act_id,
                                     e.at, e.act_id, e.is_evidence, e.is_by_person))
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
           engagement.record_sync_act(
               person_id, 'resubscribe', caused_by, occurred_at, idempotency_key,
               -- evidence ends whatever it is after; a mere change only what the plan knew
               CASE WHEN NOT is_evidence THEN ARRAY(
                   SELECT s.act_id FROM opt_out AS s
                   WHERE s.person_id = planned.person_id AND s.origin <> 'Salesforce Sync'
                   ORDER BY s.act_id
               ) END)
       END AS act_id,
       is_superseded
FROM planned
