"""The org's data in one SQLite file: many readers, one writer."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from local.salesforce_emulator.ids import make_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 3
_CACHE_KILOBYTES, _READER_KILOBYTES = 65_536, 8_192  # there is a reader per thread
_APPLICATION = 0x5FE_0A6  # marks the file as an org of this emulator


class ForeignDatabaseError(Exception):
    """The file is not an org which this version of the emulator can open."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path} {what}; name another file, or delete it to start with a new org.")


class Database:
    """Connections to the file: one per reading thread, one for all writes.

    WAL without fsync: killing the process loses nothing that was committed, a power cut might.

    Raises:
        ForeignDatabaseError: the file is something else, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshot_path = path.with_name(path.name + "-snapshot")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._holder = 0  # the thread that writes
        self._writer = self._connect()
        self.is_new = self._check()

    def _check(self) -> bool:
        try:
            (application,) = self._writer.execute("pragma application_id").fetchone()
            (version,) = self._writer.execute("pragma user_version").fetchone()
            tables = self._writer.execute("select 1 from sqlite_master limit 1").fetchall()
        except sqlite3.DatabaseError as error:
            raise ForeignDatabaseError(self.path, "is not a database") from error
        if not tables:
            return True
        if application != _APPLICATION:
            raise ForeignDatabaseError(self.path, "is a database of something else or of long ago")
        if version != VERSION:
            raise ForeignDatabaseError(self.path, f"is of version {version}, not {VERSION}")
        return False

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=1_000
        )
        try:
            connection.execute("pragma page_size = 16384")  # of a new file; halves a restore
            connection.execute("pragma journal_mode = wal")
        except sqlite3.DatabaseError as error:
            raise ForeignDatabaseError(self.path, "is not a database") from error
        connection.execute("pragma synchronous = off")
        connection.execute(f"pragma cache_size = -{_CACHE_KILOBYTES}")
        connection.execute("pragma wal_autocheckpoint = 4096")
        connection.create_function("make_id", 2, make_id, deterministic=True)
        return connection

    def read(self) -> sqlite3.Connection:
        """Return this thread's connection for reading: inside ``write`` the one that writes."""
        if self._holder == threading.get_ident():
            return self._writer
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("pragma query_only = on")
            connection.execute(f"pragma cache_size = -{_READER_KILOBYTES}")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the only writing transaction; an exception undoes it.

        Inside another ``write`` of the same thread it is a part of that one, undone alone.
        """
        if self._holder == threading.get_ident():
            with self._part():
                yield self._writer
            return
        with self._lock:
            self._writer.execute("begin immediate")
            self._holder = threading.get_ident()
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("rollback")
                raise
            else:
                self._writer.execute("commit")
            finally:
                self._holder = 0

    @contextmanager
    def _part(self) -> Iterator[None]:
        self._writer.execute("savepoint part")
        try:
            yield
        except BaseException:
            self._writer.execute("rollback to part")
            self._writer.execute("release part")
            raise
        self._writer.execute("release part")

    def next_numbers(self, connection: sqlite3.Connection, prefix: str, count: int) -> range:
        """Take the next ``count`` Id numbers of a key prefix; call inside ``write``."""
        connection.execute("insert or ignore into sequence values (?, 1)", (prefix,))
        (first,) = connection.execute(
            "update sequence set next = next + ? where prefix = ? returning next - ?",
            (count, prefix, count),
        ).fetchone()
        return range(first, first + count)

    def mark(self, connection: sqlite3.Connection) -> None:
        """Write into a new file whose it is; inside the transaction that fills it."""
        connection.execute(f"pragma application_id = {_APPLICATION}")
        connection.execute(f"pragma user_version = {VERSION}")

    def snapshot(self) -> None:
        """Copy everything aside, replacing an earlier copy.

        Not as a file: whoever opens and closes the database's file in this process takes SQLite's
        locks away, and the next program that looks into it deletes the log under our feet.
        https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
        """
        self.snapshot_path.unlink(missing_ok=True)
        with self._lock, closing(sqlite3.connect(self.snapshot_path)) as copy:
            copy.execute("pragma synchronous = off")
            self._writer.backup(copy)

    def restore(self) -> None:
        """Bring the copy back, page by page, while readers stay connected.

        Raises:
            FileNotFoundError: no copy was made.
        """
        if not self.snapshot_path.exists():
            raise FileNotFoundError(self.snapshot_path)
        with self._lock, closing(sqlite3.connect(self.snapshot_path)) as copy:
            copy.backup(self._writer)
            self._writer.execute("pragma wal_checkpoint(passive)")

    def close(self) -> None:
        """Write the log back into the file and close the writer."""
        with self._lock:
            self._writer.execute("pragma wal_checkpoint(truncate)")
            self._writer.close()
