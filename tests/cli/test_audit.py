from sqlalchemy import Engine, text

from include.store.database import transaction
from tests.cli.conftest import Say

BY = ("--by", "Ada", "--note", "why")
OLD_NIGHTS = """
SELECT opt_out_sync.ensure_audit_partitions('merge_audit', '2024-01-15');
INSERT INTO opt_out_sync.sync_run
    (kind, state, night, airflow_run_id, attempt, settings_version, started_at, lease_expires_at)
VALUES ('night', 'closed', '2026-11-01', 'old', 1, 1, '2026-11-01', '2026-11-01');
INSERT INTO opt_out_sync.merge_audit
    (decided_at, sync_run_id, org_id, person_id, record_id, store_is_opted_out, rule, code, reason)
SELECT '2024-01-15', 1, '00D000000000001AAA', n, '003' || n, n % 2 = 1, 'opt_out_wins',
       'FIRST_SEEN_AGREED', 'x'
FROM generate_series(1, 5) AS n
"""


def test_retention_is_off_until_somebody_switches_it_on(engine: Engine, say: Say) -> None:
    with transaction(engine) as conn:
        conn.execute(text(OLD_NIGHTS))
    shown = say("audit", "show")
    assert shown.status == 0
    assert "merge_audit_2024_01" in shown.out
    assert "Everything is kept for ever (setting audit_keep_months). No month is due" in shown.out
    assert say("audit", "thin", "--by", "Ada").out == "Nothing to thin.\n"


def test_what_was_thinned_is_told(engine: Engine, say: Say) -> None:
    with transaction(engine) as conn:
        conn.execute(text(OLD_NIGHTS))
    say("settings", "set", "--audit-keep-months", 24, *BY)
    assert "after each night: 2024-01, 2024-02." in say("audit", "show").out
    said = say("audit", "thin", "--by", "Ada").out
    assert "merge_audit of 2024-01: kept 3 of 5 rows.\n" in said
    assert "merge_audit of 2024-02: kept 0 of 0 rows.\n" in said
    shown = say("audit", "show").out
    assert "version 2, 24 months" in shown
    assert "No month is due to be thinned." in shown
