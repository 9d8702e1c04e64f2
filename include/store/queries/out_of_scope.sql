-- How many unsubscribes the settings exclude: another scope, or a bounce. They are read in queries of
-- their own: in a condition they are read for each of the acts.
SELECT count(*) AS acts
FROM engagement.unsubscribe
WHERE kind = 'unsubscribe'
  AND (scope <> ALL ((SELECT string_to_array(current_setting('opt_out_sync.scopes'), ','))::text[])
       OR (origin = 'Bounce'
           AND NOT (SELECT current_setting('opt_out_sync.with_bounces')::boolean)))
