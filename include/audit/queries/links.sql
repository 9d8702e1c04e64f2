-- Links of one org and field. Grain: one row per link.
SELECT person_id, record_id, base, state, not_visible_since IS NULL AS is_visible
FROM opt_out_sync.link
WHERE org_id = current_setting('opt_out_sync.org_id')
  AND field = current_setting('opt_out_sync.field')
