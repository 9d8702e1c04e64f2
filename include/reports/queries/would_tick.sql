-- Boxes that would be ticked: of whoever is opted out in the store, on their records, where nobody
-- knows them to be ticked. Grain: one row per box, the first ones; `boxes` counts all.
SELECT box.person_id, box.object, box.record_id, box.field, count(*) OVER () AS boxes
FROM (
    SELECT DISTINCT l.person_id, l.object, l.record_id, wanted.field
    FROM engagement.person_states(CAST(:scopes AS text[]), :with_bounces) AS s
    JOIN opt_out_sync.link AS l ON l.person_id = s.person_id AND l.state = 'active'
    CROSS JOIN unnest(CAST(:fields AS text[])) AS wanted (field)
    WHERE s.is_opted_out
) AS box
LEFT JOIN opt_out_sync.link AS known
    ON known.person_id = box.person_id AND known.record_id = box.record_id
   AND known.field = box.field AND known.state = 'active'
WHERE known.base IS NOT TRUE
ORDER BY box.person_id, box.record_id, box.field
LIMIT :most
