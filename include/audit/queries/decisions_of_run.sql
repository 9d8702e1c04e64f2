-- What a run decided, as it was recorded. Grain: one row per decided link, or per person without one.
SELECT person_id, record_id, object, field, base, store_is_opted_out, salesforce_is_opted_out,
       store_opted_out_at, store_origin, salesforce_modified_at, salesforce_modified_by,
       target_store, target_salesforce, new_base, rule, code, cause, reason, base_since,
       store_act_id, salesforce_opted_out_after, salesforce_opted_out_before,
       salesforce_time_source, evidence_id, shared_with, account_id
FROM opt_out_sync.merge_audit
WHERE sync_run_id = CAST(current_setting('opt_out_sync.run_id') AS bigint)
