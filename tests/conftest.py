"""A real PostgreSQL for every test that wants one, and an Airflow that is nobody else's.

`OPT_OUT_SYNC_TEST_DATABASE_URL` names a server (as a user who may create databases and roles);
without it an embedded one is started for this session and stopped at its end.

`make test` runs several sessions at once, one per worker. They share no server, no folder, no port
and no environment: all that is made here carries the number of its process.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

import hypothesis
import psutil
import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy import Engine, make_url, text

from include.migrations.upgrade import upgrade
from include.store.database import connect, libpq_uri, transaction
from local import postgres

FOLDER = "opt-out-sync-tests"
DISK = Path(tempfile.gettempdir()) / FOLDER
MEMORY = Path("/dev/shm") / FOLDER  # Linux: each test copies a database, here in half the time
ENOUGH_BYTES = 4 * 1024**3
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = f"opt_out_template_{os.getpid()}"
NUMBERS = count(1)

Login = Callable[..., Engine]

# With others at work a drawn example takes as long as it takes: that is no failure.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# Importing Airflow writes its configuration: not into the home of whoever runs the tests, and not
# where another worker is reading it.
AIRFLOW = tempfile.TemporaryDirectory(prefix="opt-out-sync-airflow-")
os.environ["AIRFLOW_HOME"] = AIRFLOW.name


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Choose for `-n auto`: one more than cores, as many tests wait; none for a single file."""
    chosen = [Path(each.partition("::")[0]) for each in config.args]
    return 0 if len(chosen) == 1 and chosen[0].is_file() else (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, so that no worker is left alone with it at the end."""
    items.sort(key=allowed_seconds, reverse=True)


def allowed_seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def servers() -> Path:
    """Return where sessions keep their servers."""
    shared = MEMORY.parent
    if not (shared.is_dir() and os.access(shared, os.W_OK)):
        return DISK
    return MEMORY if shutil.disk_usage(shared).free > ENOUGH_BYTES else DISK


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server to make databases on."""
    given = os.environ.get("OPT_OUT_SYNC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    stop_servers_of_dead_sessions()
    home = servers() / str(os.getpid())
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
def login(engine: Engine) -> Iterator[Login]:
    """Makes a login that is a member of one role, or of none, and owns nothing."""
    opened: list[tuple[str, Engine]] = []

    def log_in(role: str = "") -> Engine:
        name, member = f"opt_out_test_{role[-6:]}_{os.getpid()}", f"IN ROLE {role}" if role else ""
        with transaction(engine) as conn:
            conn.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'x' {member}"))
        opened.append((name, connect(engine.url.set(username=name, password="x"))))
        return opened[-1][1]

    yield log_in
    for name, member in opened:
        member.dispose()
        with transaction(engine) as conn:
            conn.execute(text(f"DROP OWNED BY {name}; DROP ROLE {name}"))


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
    for home in chain(DISK.glob("[0-9]*"), MEMORY.glob("[0-9]*")):
        if not psutil.pid_exists(int(home.name)):
            postgres.stop(home / "data")
            shutil.rmtree(home, ignore_errors=True)
