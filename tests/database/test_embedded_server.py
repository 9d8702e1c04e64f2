import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import asyncpg
import psutil
import psycopg2
import pytest

from include.store.database import connect, libpq_uri
from local import postgres
from local.postgres import Server

FAST = {"fsync": "off"}


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not below pytest's own folder: root's server runs as another user, and every session that
    # starts closes that folder to others.
    home = Path(tempfile.mkdtemp(prefix="opt out "))  # the path has a space on purpose
    yield home / "data"
    postgres.stop(home / "data")
    shutil.rmtree(home)


def family(server: Server) -> list[psutil.Process]:
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_every_driver_reaches_it_and_nobody_else_does(data_dir: Path) -> None:
    server = postgres.start(data_dir, FAST)
    url = server.create_database("opt_out")
    assert server.create_database("opt_out") == url == server.url("opt_out")
    uri = libpq_uri(connect(url))
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == ("opt_out",)
    with adbc.connect(uri) as arrow, arrow.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == ("opt_out",)

    async def ask() -> str:
        connection = await asyncpg.connect(uri)
        try:
            return str(await connection.fetchval("SELECT current_database()"))
        finally:
            await connection.close()

    assert asyncio.run(ask()) == "opt_out"
    assert server.socket_dir is not None
    mode = (server.socket_dir / f".s.PGSQL.{server.port}").stat().st_mode
    assert mode & 0o077 == 0


def test_starting_it_twice_finds_it_and_stopping_ends_every_process(data_dir: Path) -> None:
    server = postgres.start(data_dir, FAST)
    assert postgres.start(data_dir, FAST) == server
    processes = family(server)
    assert len(processes) > 3
    server.stop()
    assert alive(processes) == []
    server.stop()


def test_it_outlives_a_killed_launcher_and_the_next_one_finds_it(data_dir: Path) -> None:
    launcher = (
        "import os, signal, sys; from pathlib import Path; from local import postgres;"
        "print(postgres.start(Path(sys.argv[1]), {'fsync': 'off'}).pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", launcher, str(data_dir)],
        cwd=Path(postgres.__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    server = postgres.start(data_dir)
    assert server.pid == int(killed.stdout)
    processes = family(server)
    server.stop()
    assert alive(processes) == []


def test_a_killed_server_is_started_again_at_the_same_address(data_dir: Path) -> None:
    first = postgres.start(data_dir, FAST)
    first.create_database("kept")
    os.kill(first.pid, signal.SIGKILL)
    second = postgres.start(data_dir, FAST)
    assert second.pid != first.pid
    assert second.url("kept") == first.url("kept")
    psycopg2.connect(libpq_uri(connect(second.url("kept")))).close()


def test_a_process_id_that_belongs_to_somebody_else_is_not_believed(data_dir: Path) -> None:
    postgres.start(data_dir, FAST).stop()
    pid_file = data_dir / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_dir}\n1\n5432\n{data_dir}\n\n1 1\nready\n")
    assert postgres.start(data_dir, FAST).pid != os.getpid()
