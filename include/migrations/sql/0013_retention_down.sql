-- Back to 0012. What was thinned stays so; who did it is lost.

CREATE OR REPLACE FUNCTION opt_out_sync.tally_ended_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM opt_out_sync.tally_nights(ARRAY[NEW.night]);
    RETURN NULL;
END
$$;
DROP FUNCTION opt_out_sync.thin_audit_month;
DROP FUNCTION opt_out_sync.keep_writes;
DROP FUNCTION opt_out_sync.keep_decisions;
DROP FUNCTION opt_out_sync.audit_months_due;
DROP TABLE opt_out_sync.audit_thinning;
