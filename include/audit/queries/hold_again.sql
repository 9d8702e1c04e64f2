-- Clears whose question ended unanswered in this run, and that a later night has held once more:
-- they wait for the question after that night. Grain: one row per person and field.
INSERT INTO opt_out_sync.held_clear
    (org_id, person_id, record_id, object, field, evidence_id, held_run_id, held_at)
SELECT DISTINCT ON (ended.person_id, ended.record_id, ended.field)
       ended.org_id, ended.person_id, ended.record_id, ended.object, ended.field, d.evidence_id,
       d.sync_run_id, w.attempted_at
FROM opt_out_sync.held_clear AS ended
JOIN opt_out_sync.write_attempt AS w
    ON w.person_id = ended.person_id
   AND w.record_id IS NOT DISTINCT FROM ended.record_id
   AND w.field IS NOT DISTINCT FROM ended.field
JOIN opt_out_sync.merge_audit AS d
    ON d.sync_run_id = w.sync_run_id
   AND d.person_id = w.person_id
   AND d.record_id IS NOT DISTINCT FROM w.record_id
   AND d.field IS NOT DISTINCT FROM w.field
WHERE ended.resolved_run_id = :run_id
  AND ended.resolution = 'timed_out'
  AND w.outcome = 'held'
  AND w.code = 'HELD'
  AND w.sync_run_id > ended.held_run_id
  AND w.sync_run_id = (
      SELECT max(r.id) FROM opt_out_sync.sync_run AS r
      WHERE r.kind = 'night' AND r.state = 'closed' AND r.org_id = ended.org_id
  )
ORDER BY ended.person_id, ended.record_id, ended.field, d.id DESC
ON CONFLICT DO NOTHING
