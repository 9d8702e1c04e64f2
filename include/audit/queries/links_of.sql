-- Links of some people in one org, of every field. Grain: one row per link.
-- Served by the index of link_once (org_id, person_id, ...).
SELECT person_id, record_id, object, field, base, base_since, state,
       not_visible_since IS NULL AS is_visible, evidence_id, flips::bigint AS flips
FROM opt_out_sync.link
WHERE org_id = :org_id AND person_id = ANY (CAST(:person_ids AS bigint[]))
