"""Engines, transactions and SQL files: how everything reaches PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    TextClause,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from include.store.errors import NotPostgresError, database_errors


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the server bears with a connection (seconds, 0: for ever), and how many there are.

    Attributes:
        statement: for one statement. Whoever is killed in the middle of one holds no lock longer.
        lock: to wait for a lock; then the caller tries again: whoever waits stands in the way.
        idle: for a transaction that does nothing. An attempt that stands still (its machine sleeps,
            its process is stopped) holds the row of its run; without this its retry would wait for
            it for ever. No step of ours thinks that long in between.
        kept: connections that stay open while nobody uses them.
        most: connections at once.
    """

    statement: int = 3600
    lock: int = 600
    idle: int = 120
    kept: int = 1
    most: int = 15


TASK: Final = Limits()
"""A task is a process of its own and does one thing at a time."""
PAGE: Final = Limits(statement=60, lock=10, kept=2, most=10)
"""Somebody waits for a page, and many ask at once. A file is sent in many statements."""

KEEPALIVES: Final[dict[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server that vanished without a word is noticed within a minute."""

LIMIT: Final = """
SELECT set_config(wanted.name, wanted.value, {is_local})
FROM (VALUES ('statement_timeout', '{statement}s'), ('lock_timeout', '{lock}s'),
             ('client_connection_check_interval', '2s')) AS wanted (name, value)
WHERE current_setting(wanted.name) = '0'
  AND (wanted.name <> 'client_connection_check_interval' OR version() !~* 'windows|mingw|visual')
"""
"""What an administrator set for the database or the login counts, so only what is not set is set.

Every two seconds the server looks whether a client that it works for is still there (Windows
cannot).
"""


def connect(url: str | URL, *, limits: Limits = TASK) -> Engine:
    """Make an engine whose errors and logs never show parameters; connects on first use.

    Raises:
        NotPostgresError: the URL is for another kind of database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise NotPostgresError("the store must be a PostgreSQL database (postgresql://...)")
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg2"),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=limits.kept,
        max_overflow=limits.most - limits.kept,
        connect_args={
            "application_name": "opt_out_sync",
            "options": "-c timezone=UTC "
            f"-c idle_in_transaction_session_timeout={1000 * limits.idle}",
            **KEEPALIVES,
        },
    )
    statement = limiting(limits, is_local=False)

    @event.listens_for(engine, "connect")
    def limit(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(statement)
        connection.commit()

    return engine


def limiting(limits: Limits, *, is_local: bool) -> str:
    """Return the statement that limits a connection, or a transaction of it."""
    return LIMIT.format(
        statement=limits.statement, lock=limits.lock, is_local=str(is_local).lower()
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back by any error, errors translated.

    Raises:
        TransientSyncError, PermanentSyncError: see `include.store.errors`.
    """
    with database_errors(), engine.begin() as connection:
        yield connection


def libpq_uri(engine: Engine) -> str:
    """The engine's address as PostgreSQL's own tools and ADBC read it. Contains the password."""
    url = engine.url
    name = quote(url.username or "", safe="")
    password = f":{quote(str(url.password), safe='')}" if url.password else ""
    host = quote(url.host or "", safe=":")
    host = f"[{host}]" if ":" in host else host  # IPv6
    port = f":{url.port}" if url.port else ""
    # quote, not quote_plus: libpq does not read + as a space
    query = urlencode(list(_query_pairs(url)), quote_via=quote, safe="")
    return (
        f"postgresql://{name}{password}@{host}{port}/{quote(url.database or '', safe='')}"
        f"{'?' if query else ''}{query}"
    )


def _query_pairs(url: URL) -> Iterator[tuple[str, str]]:
    for key, values in url.normalized_query.items():
        for value in values:
            yield key, value


@cache
def sql_file(folder: Path, name: str) -> TextClause:
    """The statement in `folder/queries/name.sql`."""
    return text((folder / "queries" / f"{name}.sql").read_text(encoding="utf-8"))
