-- Some people, and everybody who names the same record, or one of some records. What is too short to
-- name one ('', 'n/a') may stand with thousands of people, and makes no group. Grain: one row per
-- person.
SELECT p.id AS person_id, p.salesforce_id
FROM engagement.person AS p
WHERE p.id = ANY (CAST(:person_ids AS bigint[]))
UNION
SELECT p.id, p.salesforce_id
FROM engagement.person AS p
WHERE p.salesforce_id IS NOT NULL
  AND engagement.record_key(p.salesforce_id) = ANY (
      SELECT engagement.record_key(one.salesforce_id)
      FROM engagement.person AS one
      WHERE one.id = ANY (CAST(:person_ids AS bigint[]))
        AND length(engagement.record_key(one.salesforce_id)) = 15
      UNION
      SELECT engagement.record_key(record_id)
      FROM unnest(CAST(:record_ids AS text[])) AS record_id
  )
ORDER BY 1
