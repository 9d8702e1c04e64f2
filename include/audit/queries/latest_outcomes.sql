-- Newest outcome of each write of one run and side: the highest id, because workers' clocks differ.
-- Grain: one row per person, record and field.
SELECT DISTINCT ON (person_id, record_id, field)
       person_id, record_id, object, field, target, outcome, act_id
FROM opt_out_sync.write_attempt
WHERE sync_run_id = :run_id AND side = :side
ORDER BY person_id, record_id, field, id DESC
