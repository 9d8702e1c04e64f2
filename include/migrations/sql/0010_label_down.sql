-- Back to 0009. The older release refuses settings that it does not know, and needs no label.
DROP TRIGGER settings_version_insert_only ON opt_out_sync.settings_version;
UPDATE opt_out_sync.settings_version SET document = document - 'sales_opt_out_label';
CREATE TRIGGER settings_version_insert_only BEFORE UPDATE OR DELETE
    ON opt_out_sync.settings_version
    FOR EACH ROW EXECUTE FUNCTION opt_out_sync.refuse_change();
