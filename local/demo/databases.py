"""The two databases on the embedded server: Airflow's own, and the store with the sync's tables."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Self

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from sqlalchemy import make_url

from local.postgres import Server

AIRFLOW = "airflow"
STORE = "opt_out"


@dataclass(frozen=True, slots=True)
class Databases:
    """Addresses as SQLAlchemy URLs."""

    airflow: str
    store: str
    _server: Server = field(repr=False)

    @classmethod
    def on(cls, server: Server) -> Self:
        """Create what is missing on this server."""
        return cls(server.create_database(AIRFLOW), server.create_database(STORE), server)

    def recreate_store(self) -> None:
        """Throw the store and the sync's memory away."""
        with closing(_open(self._server.url())) as connection:
            connection.autocommit = True  # DROP DATABASE refuses to run in a transaction
            with connection.cursor() as cursor:
                name = sql.Identifier(STORE)
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        self._server.create_database(STORE)


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """One transaction on a connection of its own."""
    with closing(_open(url)) as connection, connection:
        yield connection


def query(url: str, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Ask one question in a transaction of its own."""
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def is_airflow_migrated(url: str) -> bool:
    """Whether the installed Airflow already prepared its database (asking Airflow costs 7 s)."""
    return _remark(url) == _airflow_remark()


def note_airflow_migrated(url: str) -> None:
    """Remember that it did."""
    with connect(url) as connection, connection.cursor() as cursor:
        remark(cursor, AIRFLOW, _airflow_remark())


def sample_remark(url: str) -> str | None:
    """Return what the last complete load of sample data remarked on the store."""
    return _remark(url)


def remark(cursor: psycopg2.extensions.cursor, database: str, text: str) -> None:
    """Comment on a database: true from the moment the transaction is, gone with the database."""
    statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
    cursor.execute(statement.format(sql.Identifier(database), sql.Literal(text)))


def end_dead_airflow_jobs(url: str) -> None:
    """Tell Airflow that its former processes are gone, so that it takes up their tasks at once.

    A killed scheduler counts as alive for another 30 seconds, and its tasks for five minutes.
    """
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE job SET state = 'failed' WHERE state = 'running'")


def copy_rows(
    cursor: psycopg2.extensions.cursor,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Add rows by COPY."""
    text = StringIO("".join("\t".join(map(_copy_text, row)) + "\n" for row in rows))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor.copy_expert(statement, text)


def _copy_text(value: object) -> str:
    if value is None:
        return r"\N"
    return str(value).translate(_COPY_ESCAPES)


_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _open(url: str) -> Connection:
    place = make_url(url)
    # SQLAlchemy writes a space in the socket's folder as +, libpq would take that literally.
    return psycopg2.connect(
        host=place.host or place.query.get("host"),
        port=place.port,
        user=place.username,
        password=place.password,
        dbname=place.database,
    )


def _remark(url: str) -> str | None:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = current_database()"
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _airflow_remark() -> str:
    return f"prepared by Airflow {importlib.metadata.version('apache-airflow')}"
