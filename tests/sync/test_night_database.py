"""What a night takes of the database: connections while it runs, and old months after it."""

import threading
from datetime import UTC, date, datetime

from sqlalchemy import text

from include.store.database import connect, transaction

OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
MOST = 3  # docs/database.md: a transaction, another one beside it, and a bulk read


def test_no_step_of_a_night_takes_more_than_three_connections(world):
    for store, salesforce in ((True, False), (False, True), (False, False)):
        world.pair(store, salesforce)
    watcher, seen, over = connect(world.engine.url), [], threading.Event()

    def watch():
        with watcher.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            while not over.is_set():
                seen.append(conn.execute(text(OTHERS)).scalar_one())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        world.night()
    finally:
        over.set()
        watching.join()
        watcher.dispose()
    assert 1 < max(seen) <= MOST


def old_month(world):
    """Add decisions about two people in January 2024: one was opted out, one never."""
    with transaction(world.engine) as conn:
        at = datetime(2024, 1, 15, tzinfo=UTC)
        make = "SELECT opt_out_sync.ensure_audit_partitions('merge_audit', :at)"
        conn.execute(text(make), {"at": at})
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.merge_audit (decided_at, sync_run_id, org_id, person_id, "
                "record_id, store_is_opted_out, rule, code, reason) "
                "SELECT :at, 1, :org, n, '003' || n, n = 1, 'opt_out_wins', 'FIRST_SEEN_AGREED', "
                "'x' FROM generate_series(1, 2) AS n"
            ),
            {"at": at, "org": world.org_id()},
        )


def test_a_night_thins_the_oldest_month_after_it_has_closed(world):
    old_month(world)
    world.choose(audit_keep_months=24)
    world.night(plan_only=True)
    assert world.sql("SELECT * FROM opt_out_sync.audit_thinning") == []  # a plan writes nothing
    night = world.night()
    thinned = world.sql("SELECT * FROM opt_out_sync.audit_thinning WHERE rows_before > 0")
    (row,) = thinned
    assert (row.audit_table, row.month) == ("merge_audit", date(2024, 1, 1))
    assert (row.thinned_by, row.rows_before, row.rows_kept) == (f"night {night}", 2, 1)
