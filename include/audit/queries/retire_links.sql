-- Links that nobody names any more: the person has another record, or is gone.
INSERT INTO opt_out_sync.link AS l
    (org_id, person_id, record_id, object, field, state, first_seen_at)
SELECT :org_id, person_id, record_id, object, field, 'retired', :now
FROM retired_link
ON CONFLICT (org_id, person_id, record_id, field) DO UPDATE
    SET state = 'retired', evidence_id = NULL
    WHERE l.state <> 'retired'
