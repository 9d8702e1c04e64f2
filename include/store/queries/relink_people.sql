-- Corrects the Salesforce Id of people whose record lives on as another one. Grain: one row asked.
SELECT person_id, engagement.relink_person(person_id, from_record_id, to_record_id) AS is_relinked
FROM (SELECT * FROM asked_relink ORDER BY person_id) AS asked
