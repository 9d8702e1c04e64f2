"""The org's data in one SQLite file: many readers, one writer."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from local.salesforce_emulator.ids import make_id
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
    "create table if not exists feature (name text primary key)",
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
        for statement in _later_statements():
            self._writer.execute(statement)
        columns = self._writer.execute("select name from pragma_table_info('Account')")
        if ("MasterRecordId",) not in columns.fetchall():
            self._writer.execute('alter table "Account" add column "MasterRecordId" text')

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -65536")
        connection.create_function("make_id", 2, make_id, deterministic=True)
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
    for statement in _TABLES:
        connection.execute(statement)
    for object_type in STANDARD_OBJECTS:
        if object_type.history_of is None:
            connection.execute(_create_table(object_type))
            connection.execute(_create_index(object_type, "SystemModstamp", "modstamp"))
    for statement in _later_statements():
        connection.execute(statement)


def _later_statements() -> list[str]:
    histories = [each for each in STANDARD_OBJECTS if each.history_of is not None]
    return [
        *_LATER_TABLES,
        *map(_create_table, histories),
        *(_create_index(each, f"{each.history_of}Id", "record") for each in histories),
    ]


def column_sql(field: Field) -> str:
    """Return the column definition of a stored field."""
    if field.type == "boolean":
        return f'"{field.name}" integer not null default 0'
    if field.type == "anyType":  # whatever was stored comes back as it was
        return f'"{field.name}"'
    if field.name == "Id":
        return '"Id" text primary key'
    return f'"{field.name}" text'


def _create_table(object_type: ObjectType) -> str:
    columns = [column_sql(field) for field in object_type.fields if field.expression is None]
    return f'create table if not exists "{object_type.name}" ({", ".join(columns)})'


def _create_index(object_type: ObjectType, column: str, name: str) -> str:
    table = object_type.name
    return f'create index if not exists "{table}_{name}" on "{table}" ("{column}")'
