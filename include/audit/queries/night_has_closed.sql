-- Whether a live night of this name has closed. One row.
SELECT EXISTS (
    SELECT FROM opt_out_sync.sync_run
    WHERE kind = 'night' AND night = :night AND state = 'closed'
)
