-- Everybody, without the address. Grain: one row per person.
SELECT id AS person_id, salesforce_id
FROM engagement.person
