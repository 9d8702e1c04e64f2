-- Links of one org. Grain: one row per link.
SELECT person_id, record_id, object, field, base, base_since, state,
       not_visible_since IS NULL AS is_visible, evidence_id, flips::bigint AS flips
FROM opt_out_sync.link
WHERE org_id = current_setting('opt_out_sync.org_id')
