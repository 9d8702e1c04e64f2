-- Back to 0006. What was kept of erased people is lost: whoever is imported again starts afresh.

DROP FUNCTION opt_out_sync.alerts_due;
DROP TABLE opt_out_sync.alert;
REVOKE ALL ON opt_out_sync.v_person_timeline, opt_out_sync.v_resubscribe,
    opt_out_sync.v_open_failures FROM opt_out_support;
REVOKE USAGE ON SCHEMA opt_out_sync FROM opt_out_support;
DROP INDEX engagement.person_address;
DROP FUNCTION opt_out_sync.look_up_person;
DROP TABLE opt_out_sync.look_up;
DROP TRIGGER person_stays_opted_out ON engagement.person;
DROP TRIGGER person_starts_opted_out ON engagement.person;
DROP FUNCTION engagement.restore_renamed;
DROP FUNCTION engagement.restore_imported;
DROP FUNCTION engagement.restore_opt_outs_of;
DROP FUNCTION engagement.erase_person;
DROP FUNCTION engagement.address_hash;
DROP TABLE opt_out_sync.erasure;
DROP TABLE engagement.erased_opt_out;
DROP TABLE engagement.erasure_key;
DROP FUNCTION opt_out_sync.opt_out_at;
DROP FUNCTION engagement.opt_outs_at;
DROP VIEW opt_out_sync.v_missed_night;
DROP INDEX opt_out_sync.salesforce_job_unsettled;
ALTER TABLE opt_out_sync.salesforce_job
    DROP COLUMN settled_at, DROP COLUMN rows, DROP COLUMN field;
