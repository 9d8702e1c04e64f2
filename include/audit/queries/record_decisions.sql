-- Decisions of one run. Grain: one row per decided link, or per person without one. A night that is
-- run again names the earlier attempt's decision about the same link, where it says otherwise.
WITH earlier AS MATERIALIZED (
    SELECT DISTINCT ON (a.person_id, a.record_id, a.field)
           a.id, a.person_id, coalesce(a.record_id, '') AS record_id,
           coalesce(a.field, '') AS field,
           a.target_store, a.target_salesforce, a.new_base, a.code
    FROM opt_out_sync.sync_run AS this
    JOIN opt_out_sync.sync_run AS r
        ON r.night = this.night AND r.id < this.id
       AND r.kind IN ('night', 'replay') AND NOT r.plan_only
    JOIN opt_out_sync.merge_audit AS a ON a.sync_run_id = r.id
    WHERE this.id = :run_id AND this.kind IN ('night', 'replay') AND NOT this.plan_only
      AND a.org_id = :org_id
    ORDER BY a.person_id, a.record_id, a.field, a.id DESC
)
INSERT INTO opt_out_sync.merge_audit
    (decided_at, sync_run_id, org_id, person_id, record_id, object, field, base,
     store_is_opted_out, salesforce_is_opted_out, store_opted_out_at, store_origin,
     salesforce_modified_at, salesforce_modified_by, target_store, target_salesforce, new_base,
     rule, code, cause, reason, base_since, store_act_id, salesforce_opted_out_after,
     salesforce_opted_out_before, salesforce_time_source, evidence_id, shared_with, account_id,
     supersedes)
SELECT :now, :run_id, :org_id, d.person_id, d.record_id, d.object, d.field, d.base,
       d.store_is_opted_out, d.salesforce_is_opted_out, d.store_opted_out_at, d.store_origin,
       d.salesforce_modified_at, d.salesforce_modified_by, d.target_store, d.target_salesforce,
       d.new_base, d.rule, d.code, d.cause, d.reason, d.base_since, d.store_act_id,
       d.salesforce_opted_out_after, d.salesforce_opted_out_before, d.salesforce_time_source,
       d.evidence_id, d.shared_with, d.account_id, earlier.id
FROM new_decision AS d
LEFT JOIN earlier
    ON earlier.person_id = d.person_id
   AND earlier.record_id = coalesce(d.record_id, '')
   AND earlier.field = coalesce(d.field, '')
   AND (earlier.target_store, earlier.target_salesforce, earlier.new_base, earlier.code)
       IS DISTINCT FROM (d.target_store, d.target_salesforce, d.new_base, d.code)
ORDER BY d.person_id, d.record_id
ON CONFLICT ON CONSTRAINT merge_audit_once DO NOTHING
