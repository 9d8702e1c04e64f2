"""No connection waits, works or stands still for ever, whatever became of its client."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from include.migrations import upgrade as migrations
from include.store.bulk import snapshot
from include.store.database import PAGE, Limits, connect, libpq_uri, transaction
from include.store.errors import StoreBusyError

ROOT = Path(__file__).parents[2]
ASKED = "SELECT current_setting(name) FROM unnest(CAST(:names AS text[])) AS name"
NAMES = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
]
LOCKING = """
import sys
from sqlalchemy import text
from include.store.database import connect, transaction

with transaction(connect(sys.argv[1])) as conn:
    conn.execute(text("SELECT pg_advisory_xact_lock(1)"))
    print("locked", flush=True)
    conn.execute(text("SELECT pg_sleep(600)"))
"""


def settings_of(engine: Engine) -> list[str]:
    with transaction(engine) as conn:
        return list(conn.execute(text(ASKED), {"names": NAMES}).scalars())


def test_a_task_is_patient_and_a_page_is_not(engine: Engine) -> None:
    assert settings_of(engine) == ["1h", "10min", "2min", "2s"]
    page = connect(engine.url, limits=PAGE)
    assert settings_of(page) == ["1min", "10s", "2min", "2s"]
    page.dispose()


def test_a_bulk_read_has_the_limits_of_a_task(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    query = "SELECT current_setting('statement_timeout') AS limit"
    (tmp_path / "queries" / "limit.sql").write_text(query)
    with snapshot(engine, {}) as database:
        assert database.read(tmp_path, "limit").table().to_pylist() == [{"limit": "1h"}]


def test_what_an_administrator_set_for_the_database_counts(engine: Engine) -> None:
    with transaction(engine) as conn:
        name = engine.url.database
        conn.execute(text(f"ALTER DATABASE {name} SET statement_timeout = '7s'"))
    engine.dispose()
    assert settings_of(engine)[0] == "7s"


def test_a_rollback_keeps_the_limits(engine: Engine) -> None:
    with engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        conn.rollback()
    assert settings_of(engine)[0] == "1h"


def test_whoever_waits_for_a_lock_gives_up_and_tries_again(engine: Engine) -> None:
    hasty = connect(engine.url, limits=Limits(lock=1))
    with engine.connect() as holder:
        holder.execute(text("LOCK TABLE opt_out_sync.link"))
        with pytest.raises(StoreBusyError, match="55P03"), transaction(hasty) as conn:
            conn.execute(text("SELECT FROM opt_out_sync.link"))
    hasty.dispose()


def test_a_worker_that_is_killed_in_a_statement_holds_its_locks_for_seconds(
    engine: Engine,
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    worker = subprocess.Popen(
        [sys.executable, "-c", LOCKING, url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "locked\n"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        started = time.monotonic()
        with transaction(engine) as conn:
            conn.execute(text("SELECT pg_advisory_xact_lock(1)"))
        assert time.monotonic() - started < 60  # the statement would have gone on for 600
    finally:
        worker.kill()
        worker.wait()


def test_an_idle_task_keeps_one_connection(engine: Engine) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    with engine.connect() as one, engine.connect() as two:
        assert one.execute(text(count)).scalar() == 2
        assert two.execute(text(count)).scalar() == 2
    with engine.connect() as conn:
        deadline = time.monotonic() + 60
        while conn.execute(text(count)).scalar() != 1:  # a server process ends after its client
            assert time.monotonic() < deadline
            conn.rollback()
            time.sleep(0.05)


def test_a_migration_stands_in_nobodys_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives up soon: a night that holds a table would else make everybody wait behind it."""
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1)
    with engine.connect() as night:
        night.execute(text("SELECT FROM opt_out_sync.sync_run"))
        with pytest.raises(StoreBusyError, match="55P03"):
            migrations.downgrade(connect(libpq_uri(engine)), "0001")
