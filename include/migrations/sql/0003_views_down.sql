DROP VIEW opt_out_sync.v_open_failures;
DROP VIEW opt_out_sync.v_person_timeline;
DROP VIEW opt_out_sync.v_night;
REVOKE USAGE ON SCHEMA opt_out_sync FROM opt_out_analyst;
