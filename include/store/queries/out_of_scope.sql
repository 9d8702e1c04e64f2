-- How many unsubscribes the settings exclude: another scope, or a bounce.
SELECT count(*) AS acts
FROM engagement.unsubscribe
WHERE kind = 'unsubscribe'
  AND (scope <> ALL (string_to_array(current_setting('opt_out_sync.scopes'), ','))
       OR (origin = 'Bounce' AND NOT current_setting('opt_out_sync.with_bounces')::boolean))
