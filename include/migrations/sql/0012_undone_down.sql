-- Back to 0011. Who undid what was written is lost.
DROP VIEW opt_out_sync.v_undone;
ALTER TABLE opt_out_sync.write_attempt
    DROP COLUMN changed_by,
    DROP COLUMN changed_at;
