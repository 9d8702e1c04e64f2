-- Opt-out state of every person, without the address. Grain: one row per person.
SELECT person_id, salesforce_id, is_opted_out, opted_out_at, act_id, origin
FROM engagement.person_states(
    string_to_array(current_setting('opt_out_sync.scopes'), ','),
    current_setting('opt_out_sync.with_bounces')::boolean
)
