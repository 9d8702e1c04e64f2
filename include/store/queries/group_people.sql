-- Some people, and everybody who names the same record. What is too short to name one ('', 'n/a')
-- may stand with thousands of people, and makes no group. Grain: one row per person.
SELECT p.id AS person_id, p.salesforce_id
FROM asked_person AS asked
JOIN engagement.person AS p ON p.id = asked.person_id
UNION
SELECT p.id, p.salesforce_id
FROM asked_person AS asked
JOIN engagement.person AS one
    ON one.id = asked.person_id
   AND length(engagement.record_key(one.salesforce_id)) = 15
JOIN engagement.person AS p
    ON p.salesforce_id IS NOT NULL
   AND engagement.record_key(p.salesforce_id) = engagement.record_key(one.salesforce_id)
ORDER BY 1
