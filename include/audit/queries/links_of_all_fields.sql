-- Links of one org, packed: see packed_links.py. Grain: one row per link.
-- The setting is read in a query of its own: in a condition it is read for each of the links.
SELECT person_id, record_id, nullif(field, 'HasOptedOutOfEmail') AS other_field, base_since,
       evidence_id,
       coalesce(base::integer, 2)
       + CASE state WHEN 'active' THEN 0 WHEN 'gone' THEN 4 WHEN 'retired' THEN 8 END
       + CASE WHEN not_visible_since IS NULL THEN 16 ELSE 0 END
       + CASE object WHEN 'Contact' THEN 0 WHEN 'Lead' THEN 32 END
       + flips * 64 AS packed
FROM opt_out_sync.link
WHERE org_id = (SELECT current_setting('opt_out_sync.org_id'))
