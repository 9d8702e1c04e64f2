-- One clear for each person asked for, unless somebody opted out since the plan was made. A repeated
-- call finds its own acts. The people are locked. Grain: one row per row asked.
WITH evidence AS (
    SELECT asked.person_id,
           asked.caused_by,
           asked.occurred_at,
           asked.idempotency_key,
           e.id AS act_id,
           least(e.occurred_at, e.recorded_at) AS at,
           coalesce(e.person_id = asked.person_id, false) AS is_own,
           coalesce(e.reason, '') <> '' AND coalesce(e.actor, '') <> ''
               AND coalesce(e.evidence_ref, '') <> '' AS is_evidence,
           coalesce(e.origin IN ('Clicked Link', 'One-Click'), false) AS is_own_opt_in
    FROM asked_clear AS asked
    LEFT JOIN engagement.unsubscribe AS e
        ON e.id = CAST(substring(asked.caused_by FROM '^act:([0-9]+)$') AS bigint)
), planned AS MATERIALIZED (
    SELECT c.person_id,
           c.caused_by,
           c.occurred_at,
           c.idempotency_key,
           NOT EXISTS (
               SELECT FROM engagement.unsubscribe AS done
               WHERE done.idempotency_key = c.idempotency_key
           ) AND EXISTS (
               SELECT FROM engagement.standing_opt_out AS s
               WHERE s.person_id = c.person_id
                 AND s.scope = ANY (:scopes) AND (:with_bounces OR s.origin <> 'Bounce')
                 AND CASE
                         WHEN s.origin = 'Salesforce Sync' THEN s.recorded_at > :read_at
                         WHEN c.act_id IS NULL THEN
                             s.recorded_at > :read_at
                             OR s.origin IN ('Clicked Link', 'One-Click', 'Complaint')
                         ELSE NOT (
                             c.is_own
                             AND (s.at, s.act_id) < (c.at, c.act_id)
                             AND CASE s.origin
                                     WHEN 'Complaint' THEN c.is_evidence AND c.is_own_opt_in
                                     WHEN 'Clicked Link' THEN c.is_evidence
                                     WHEN 'One-Click' THEN c.is_evidence
                                     ELSE true
                                 END
                         )
                     END
           ) AS is_superseded
    FROM evidence AS c
    ORDER BY c.person_id
)
SELECT person_id,
       CASE WHEN NOT is_superseded THEN
           engagement.record_act(person_id, 'resubscribe', 'team', 'Salesforce Sync', NULL, NULL,
                                 NULL, NULL, caused_by, occurred_at, idempotency_key)
       END AS act_id,
       is_superseded
FROM planned
