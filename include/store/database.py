"""Engines, transactions and SQL files: how everything reaches PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from sqlalchemy import URL, Connection, Engine, TextClause, create_engine, make_url, text

from include.store.errors import NotPostgresError, database_errors

IDLE_SECONDS: Final = 120
"""How long a transaction may do nothing before the server ends it.

An attempt that stands still (its machine sleeps, its process is stopped) holds the row of its run;
without this its retry would wait for it for ever. No step of ours thinks that long in between.
"""


def connect(url: str | URL, *, idle_seconds: int = IDLE_SECONDS) -> Engine:
    """Make an engine whose errors and logs never show parameters; connects on first use.

    Raises:
        NotPostgresError: the URL is for another kind of database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise NotPostgresError("the store must be a PostgreSQL database (postgresql://...)")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg2"),
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={
            "application_name": "opt_out_sync",
            "options": "-c timezone=UTC "
            f"-c idle_in_transaction_session_timeout={1000 * idle_seconds}",
        },
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
