"""The org's data in one SQLite file: many readers, one writer."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from local.salesforce_emulator.objects import STANDARD_OBJECTS, Field, ObjectType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TABLES = (
    "create table sequence (prefix text primary key, next integer not null)",
    "create table custom_field (object text, name text, label text, primary key (object, name))",
    """
create table field_access (
    object text, field text, readable integer, updateable integer, primary key (object, field)
)""",
    """
create table job (
    id text primary key, kind text not null, operation text not null, object text not null,
    state text not null, created_at text not null, modified_at text not null,
    version text not null, query text, column_delimiter text not null, line_ending text not null,
    uploaded integer not null default 0, processed integer not null default 0,
    failed integer not null default 0, error text, milliseconds integer not null default 0
)""",
)


# What came later: a file of an earlier version gets them when it is opened.
_LATER_TABLES = (
    "create table if not exists assignment_rule (object text primary key, owner text not null)",
    "create table if not exists hidden_object (object text primary key)",
)


class Database:
    """Connections to the file: one per reading thread, one for all writes.

    WAL without fsync: killing the process loses nothing that was committed, a power cut might.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshot_path = path.with_name(path.name + "-snapshot")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._writer = self._connect()
        self.is_new = not self._writer.execute("select 1 from sqlite_master limit 1").fetchall()
        if not self.is_new:
            self._add_later_tables()

    def _add_later_tables(self) -> None:
        for statement in _LATER_TABLES:
            self._writer.execute(statement)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -65536")
        return connection

    def read(self) -> sqlite3.Connection:
        """Return this thread's connection for reading."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("pragma query_only = on")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the only writing transaction; an exception undoes it."""
        with self._lock:
            self._writer.execute("begin immediate")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("rollback")
                raise
            self._writer.execute("commit")

    def next_numbers(self, connection: sqlite3.Connection, prefix: str, count: int) -> range:
        """Take the next ``count`` Id numbers of a key prefix; call inside ``write``."""
        connection.execute("insert or ignore into sequence values (?, 1)", (prefix,))
        (first,) = connection.execute(
            "update sequence set next = next + ? where prefix = ? returning next - ?",
            (count, prefix, count),
        ).fetchone()
        return range(first, first + count)

    def snapshot(self) -> None:
        """Copy everything aside, replacing an earlier copy."""
        with self._lock, closing(sqlite3.connect(self.snapshot_path)) as copy:
            self._writer.backup(copy)

    def restore(self) -> None:
        """Bring the copy back; everything since is lost.

        Raises:
            FileNotFoundError: no copy was made.
        """
        if not self.snapshot_path.exists():
            raise FileNotFoundError(self.snapshot_path)
        with self._lock, closing(sqlite3.connect(self.snapshot_path)) as copy:
            copy.backup(self._writer)
            self._add_later_tables()

    def close(self) -> None:
        """Write the log back into the file and close the writer."""
        with self._lock:
            self._writer.execute("pragma wal_checkpoint(truncate)")
            self._writer.close()


def create_tables(connection: sqlite3.Connection) -> None:
    """Create every table, inside the caller's transaction."""
    for statement in (*_TABLES, *_LATER_TABLES):
        connection.execute(statement)
    for object_type in STANDARD_OBJECTS:
        connection.execute(_create_table(object_type))
        connection.execute(
            f'create index "{object_type.name}_modstamp" on "{object_type.name}" ("SystemModstamp")'
        )


def column_sql(field: Field) -> str:
    """Return the column definition of a stored field."""
    if field.type == "boolean":
        return f'"{field.name}" integer not null default 0'
    if field.name == "Id":
        return '"Id" text primary key'
    return f'"{field.name}" text'


def _create_table(object_type: ObjectType) -> str:
    columns = [column_sql(field) for field in object_type.fields if field.expression is None]
    return f'create table "{object_type.name}" ({", ".join(columns)})'
