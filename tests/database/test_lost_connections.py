"""A database that goes away is a reason to try again, whichever driver notices."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy import Engine, text

from include.domain.errors import TransientSyncError
from include.store.bulk import snapshot
from include.store.database import connect, libpq_uri, transaction
from include.store.errors import StoreBusyError, StoreUnavailableError, database_errors
from local import postgres
from tests.conftest import servers

LONG = "SELECT i, pg_sleep(0.00001) IS NULL AS x FROM generate_series(1, 400000) AS i"


@pytest.fixture
def mortal() -> Iterator[tuple[Engine, Path]]:
    """A server of this test alone, to be killed."""
    home = servers() / str(os.getpid()) / "mortal"
    data = home / "data"
    server = postgres.start(data)
    engine = connect(server.url())
    yield engine, data
    engine.dispose()
    postgres.stop(data)
    shutil.rmtree(home)


def crash(data: Path) -> None:
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGQUIT)
    while psutil.pid_exists(postmaster):
        time.sleep(0.05)


def queries(folder: Path) -> Path:
    (folder / "queries").mkdir()
    (folder / "queries" / "long.sql").write_text(LONG)
    (folder / "queries" / "short.sql").write_text("SELECT 1 AS one")
    return folder


def test_a_server_that_crashes_while_it_sends_rows_is_worth_a_retry(
    mortal: tuple[Engine, Path], tmp_path: Path
) -> None:
    engine, data = mortal
    folder = queries(tmp_path)
    crashing = threading.Timer(0.5, crash, (data,))
    crashing.start()
    with pytest.raises(StoreUnavailableError), snapshot(engine, {}) as database:
        database.read(folder, "long").table()
    crashing.join()


def test_a_connection_that_was_lost_between_two_reads_is_worth_a_retry(
    mortal: tuple[Engine, Path], tmp_path: Path
) -> None:
    engine, data = mortal
    folder = queries(tmp_path)

    def read_twice() -> None:
        with snapshot(engine, {}) as database:
            database.read(folder, "short").table()
            crash(data)
            database.read(folder, "short").table()

    with pytest.raises(StoreUnavailableError):
        read_twice()


def test_a_server_that_is_not_there_is_worth_a_retry(mortal: tuple[Engine, Path]) -> None:
    engine, data = mortal
    crash(data)
    with pytest.raises(StoreUnavailableError), snapshot(engine, {}):
        pass
    with pytest.raises(StoreUnavailableError), transaction(engine):
        pass


@pytest.mark.parametrize("is_back", [True, False])
def test_a_server_that_crashes_within_a_transaction_is_worth_a_retry(
    mortal: tuple[Engine, Path], is_back: bool
) -> None:
    engine, data = mortal

    def begin_and_commit() -> None:
        with transaction(engine) as conn:
            conn.execute(text("SELECT 1"))
            crash(data)
            if is_back:
                postgres.start(data)

    with pytest.raises(StoreUnavailableError):
        begin_and_commit()


def test_a_standby_that_took_the_place_of_the_server_is_worth_a_retry(engine: Engine) -> None:
    """After a failover a client may meet the old server, which only reads."""
    with pytest.raises(StoreUnavailableError), transaction(engine) as conn:
        conn.execute(text("SET TRANSACTION READ ONLY; DELETE FROM opt_out_sync.link"))


@pytest.mark.parametrize(
    "sqlstate",
    [
        "53100",  # its disk is full
        "53200",  # its memory is
        "57014",  # an admin cancelled the statement
        "58030",  # its disk does not answer
    ],
)
def test_a_server_short_of_something_is_worth_a_retry(engine: Engine, sqlstate: str) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$"
    with pytest.raises(StoreBusyError, match=sqlstate), transaction(engine) as conn:
        conn.execute(text(raising))


def test_a_driver_that_quotes_an_address_is_not_quoted(engine: Engine) -> None:
    with pytest.raises(TransientSyncError) as caught, database_errors():
        psycopg2.connect(libpq_uri(engine).replace("postgresql://", "postgresql://canary:c@"))
    assert "canary" not in str(caught.value)
