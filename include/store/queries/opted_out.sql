-- How many people are opted out by what the settings count.
SELECT count(DISTINCT person_id) AS people
FROM engagement.standing_opt_out
WHERE scope = ANY (string_to_array(current_setting('opt_out_sync.scopes'), ','))
  AND (origin <> 'Bounce' OR current_setting('opt_out_sync.with_bounces')::boolean)
