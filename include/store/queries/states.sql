-- State of some people. Grain: one row per person asked for; null when the person is gone.
SELECT asked.person_id, known.is_opted_out
FROM asked_person AS asked
LEFT JOIN engagement.states_of(:person_ids, :scopes, :with_bounces) AS known USING (person_id)
