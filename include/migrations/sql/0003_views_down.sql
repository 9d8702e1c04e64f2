DROP VIEW opt_out_sync.v_open_failures;
DROP VIEW opt_out_sync.v_person_timeline;
DROP VIEW opt_out_sync.v_night;
REVOKE USAGE ON SCHEMA opt_out_sync FROM opt_out_analyst;
REVOKE ALL ON ALL TABLES IN SCHEMA engagement, opt_out_sync FROM opt_out_sync_writer;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA engagement, opt_out_sync FROM opt_out_sync_writer;
REVOKE USAGE ON SCHEMA engagement, opt_out_sync FROM opt_out_sync_writer;
