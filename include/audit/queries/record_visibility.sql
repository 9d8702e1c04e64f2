-- Which links' records were in Salesforce's answer. A deleted record's link is gone at once, an
-- invisible one's after 30 days, and a link whose record is visible again lives on with its base.
WITH seen AS (
    INSERT INTO opt_out_sync.link AS l
        (org_id, person_id, record_id, object, field, state, not_visible_since, first_seen_at)
    SELECT :org_id, person_id, record_id, object, field,
           CASE WHEN is_deleted THEN 'gone' ELSE 'active' END,
           CASE WHEN is_deleted OR NOT is_visible THEN CAST(:now AS timestamptz) END,
           :now
    FROM changed_visibility
    ON CONFLICT (org_id, person_id, record_id, field) DO UPDATE
        SET state = CASE
                WHEN excluded.state = 'gone' THEN 'gone'
                WHEN excluded.not_visible_since IS NULL THEN 'active'
                ELSE l.state
            END,
            not_visible_since = CASE
                WHEN excluded.not_visible_since IS NOT NULL
                THEN coalesce(l.not_visible_since, excluded.not_visible_since)
            END
        WHERE (l.not_visible_since IS NULL) <> (excluded.not_visible_since IS NULL)
           OR (excluded.state = 'gone' AND l.state <> 'gone')
           OR (excluded.not_visible_since IS NULL AND l.state <> 'active')
    RETURNING 1
)
SELECT count(*) FROM seen
