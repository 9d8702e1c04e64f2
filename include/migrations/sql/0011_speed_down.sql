-- Back to 0010.
DROP FUNCTION engagement.record_sync_opt_outs;
DROP INDEX opt_out_sync.link_opted_out_field;
DROP INDEX opt_out_sync.link_covered;
DROP INDEX opt_out_sync.link_undone;
DROP INDEX opt_out_sync.link_not_visible;
