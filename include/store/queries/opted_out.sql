-- How many people are opted out by what the settings count. They are read in queries of their own:
-- in a condition they are read for each of the acts.
SELECT count(DISTINCT person_id) AS people
FROM engagement.standing_opt_out
WHERE scope = ANY ((SELECT string_to_array(current_setting('opt_out_sync.scopes'), ','))::text[])
  AND (origin <> 'Bounce' OR (SELECT current_setting('opt_out_sync.with_bounces')::boolean))
