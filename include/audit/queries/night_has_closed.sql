-- Whether the live night of an interval has closed. A night by hand has none: it may have the same
-- date, and is no reason to compare less tonight. One row.
SELECT EXISTS (
    SELECT FROM opt_out_sync.sync_run
    WHERE kind = 'night' AND night = :night AND interval_end = :end AND state = 'closed'
)
