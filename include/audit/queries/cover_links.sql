-- Which accepted evidence covers the opt-out that Salesforce still shows; null: none any more.
-- Both sides said "opted out" until the evidence was accepted, so that is the base: if the box is
-- then found empty, the base moves and takes the cover with it, and a new tick is a new opt-out.
INSERT INTO opt_out_sync.link AS l
    (org_id, person_id, record_id, object, field, evidence_id, base, base_since, base_run_id,
     first_seen_at)
SELECT :org_id, person_id, record_id, object, field, evidence_id,
       CASE WHEN evidence_id IS NOT NULL THEN true END,
       CASE WHEN evidence_id IS NOT NULL THEN CAST(:now AS timestamptz) END,
       CASE WHEN evidence_id IS NOT NULL THEN CAST(:run_id AS bigint) END,
       :now
FROM covered_link
ON CONFLICT (org_id, person_id, record_id, field) DO UPDATE
    SET evidence_id = excluded.evidence_id,
        base = coalesce(excluded.base, l.base),
        base_since = CASE WHEN l.base IS NOT TRUE AND excluded.base THEN excluded.base_since
                          ELSE l.base_since END,
        base_run_id = CASE WHEN l.base IS NOT TRUE AND excluded.base THEN excluded.base_run_id
                           ELSE l.base_run_id END
    WHERE l.evidence_id IS DISTINCT FROM excluded.evidence_id
