DROP INDEX opt_out_sync.salesforce_job_unsettled;
ALTER TABLE opt_out_sync.salesforce_job
    DROP COLUMN settled_at, DROP COLUMN rows, DROP COLUMN field;
