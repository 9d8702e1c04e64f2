-- Outcomes of writes. Grain: one row per write and outcome.
INSERT INTO opt_out_sync.write_attempt
    (attempted_at, sync_run_id, org_id, person_id, record_id, object, field, side, target, outcome,
     failure_class, code, fix, job_id, act_id, changed_by, changed_at)
SELECT :now, :run_id, :org_id, person_id, record_id, object, field, side, target, outcome,
       failure_class, code, fix, job_id, act_id, changed_by, changed_at
FROM new_outcome
ORDER BY person_id, record_id
ON CONFLICT ON CONSTRAINT write_attempt_once DO NOTHING
