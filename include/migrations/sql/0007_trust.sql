-- Nights that can be trusted: stopped anywhere, run again, asked about later.

-- field, rows: what an ingest job was to write, so that a step which starts again can tell whether
-- the results of the job that it finds are all there. settled_at: its results are recorded, or were
-- not worth believing; nobody looks for it any more.
ALTER TABLE opt_out_sync.salesforce_job
    ADD COLUMN field text NOT NULL DEFAULT '',
    ADD COLUMN rows integer,
    ADD COLUMN settled_at timestamptz;
UPDATE opt_out_sync.salesforce_job SET settled_at = coalesce(finished_at, now());
-- What is looked for when a step starts; nearly all jobs are settled.
CREATE INDEX salesforce_job_unsettled ON opt_out_sync.salesforce_job (object, operation)
    WHERE settled_at IS NULL;
