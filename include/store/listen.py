"""Waits for the database to say that something changed.

A notification is a hint: it is lost while nobody listens. Whoever waits looks at the tables first,
and again now and then.
"""

import select
from types import TracebackType
from typing import Self

import psycopg2
from psycopg2 import sql
from sqlalchemy import Engine

from include.store.database import KEEPALIVES, libpq_uri
from include.store.errors import database_errors


class Listener:
    """A connection of its own that hears the notifications of one channel.

    Every call may block for as long as the database does: in an event loop, make it in a thread.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        """Connect and listen.

        Args:
            engine: only its address is used.
            channel: ours, never input.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        with database_errors():
            self._connection = psycopg2.connect(
                libpq_uri(engine), application_name="opt_out_sync push", **KEEPALIVES
            )
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def fileno(self) -> int:
        """Return what becomes readable when something was said, or the connection broke."""
        return int(self._connection.fileno())

    def heard(self) -> bool:
        """Take what was said since the last call; returns whether there was anything.

        Raises:
            StoreUnavailableError: the connection was lost.
        """
        with database_errors():
            self._connection.poll()
        was_something = bool(self._connection.notifies)
        self._connection.notifies.clear()
        return was_something

    def wait(self, seconds: float) -> bool:
        """Wait until something was said, at most so long; returns whether it was.

        Raises:
            StoreUnavailableError: the connection was lost.
        """
        if self.heard():
            return True
        readable, _, _ = select.select([self], [], [], max(0.0, seconds))
        return bool(readable) and self.heard()

    def scalar(self, statement: str) -> object:
        """Ask for one value on the same connection.

        Raises:
            StoreUnavailableError: the connection was lost.
        """
        with database_errors(), self._connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the connection; repeating it changes nothing."""
        self._connection.close()
