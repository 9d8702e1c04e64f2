"""A real PostgreSQL for every test that wants one.

`OPT_OUT_SYNC_TEST_DATABASE_URL` names a server (as a user who may create databases and roles);
without it an embedded one is started for this session and stopped at its end.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psutil
import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy import Engine, make_url

from include.migrations.upgrade import upgrade
from include.store.database import connect, libpq_uri
from local import postgres

SERVERS = Path(tempfile.gettempdir()) / "opt-out-sync-tests"
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = f"opt_out_template_{os.getpid()}"
NUMBERS = count(1)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server to make databases on."""
    given = os.environ.get("OPT_OUT_SYNC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    stop_servers_of_dead_sessions()
    home = SERVERS / str(os.getpid())
    server = postgres.start(home / "data", NOT_DURABLE)
    yield server.url()
    server.stop()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """A migrated database without rows. Do not write to it: `engine` is a copy of it."""
    with new_database(server_url, TEMPLATE) as url:
        engine = connect(url)
        upgrade(engine)
        engine.dispose()  # a database in use cannot be copied
        yield url


@pytest.fixture
def engine(server_url: str, database_url: str) -> Iterator[Engine]:
    """A migrated database of this test alone."""
    name = f"opt_out_test_{os.getpid()}_{next(NUMBERS)}"
    with new_database(server_url, name, make_url(database_url).database) as url:
        engine = connect(url)
        yield engine
        engine.dispose()


@pytest.fixture
def empty_engine(server_url: str) -> Iterator[Engine]:
    """A database that was never migrated."""
    with new_database(server_url, f"opt_out_empty_{os.getpid()}_{next(NUMBERS)}") as url:
        engine = connect(url)
        yield engine
        engine.dispose()


@contextmanager
def new_database(server_url: str, name: str, template: str | None = None) -> Iterator[str]:
    """Make a database, yield its URL, drop it whoever is still connected."""
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    names = sql.Identifier(name), sql.Identifier(template or "template1")
    run_on_server(server_url, create.format(*names))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
        run_on_server(server_url, drop.format(sql.Identifier(name)))


def run_on_server(server_url: str, statement: sql.Composed) -> None:
    connection = psycopg2.connect(libpq_uri(connect(server_url)))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def stop_servers_of_dead_sessions() -> None:
    """A killed session leaves its server running: the next session ends it."""
    for home in SERVERS.glob("[0-9]*"):
        if not psutil.pid_exists(int(home.name)):
            postgres.stop(home / "data")
            shutil.rmtree(home, ignore_errors=True)
