"""Pauses: why no push is made at the moment, and until when.

What is wrong with one record is written on its row of the outbox. What is wrong with everything
(Salesforce is down, the org's requests run out, the login is refused) is written here, once, so
that fifty new opt-outs a second do not try it fifty times a second.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from include.store.errors import database_errors


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is pushed before `until`. `failures` counts the attempts in a row that failed."""

    since: datetime
    until: datetime
    failures: int
    code: str
    reason: str


@database_errors()
def current(conn: Connection) -> Pause | None:
    """Return the pause that was declared last and not ended, in force or over; None: none was."""
    row = conn.execute(text(CURRENT)).one_or_none()
    return None if row is None else Pause(**row._mapping)


@database_errors()
def begin(conn: Connection, *, until: datetime, code: str, reason: str, now: datetime) -> Pause:
    """Let nothing be pushed for a while; another failure of the same kind prolongs the pause.

    Args:
        conn: in a transaction.
        until: when it may be tried again.
        code: of the failure, short.
        reason: in plain words, with what to do.
        now: when.
    """
    values = {"until": until, "code": code, "reason": reason, "now": now}
    return Pause(**conn.execute(text(BEGIN), values).one()._mapping)


@database_errors()
def end(conn: Connection) -> bool:
    """End the pause: a push has succeeded. Returns whether there was one."""
    return conn.execute(text("DELETE FROM opt_out_sync.push_pause")).rowcount > 0


COLUMNS = "since, until, failures, code, reason"
CURRENT = f"SELECT {COLUMNS} FROM opt_out_sync.push_pause"  # noqa: S608 - constants
BEGIN = f"""
INSERT INTO opt_out_sync.push_pause AS p (since, until, failures, code, reason)
VALUES (:now, :until, 1, :code, :reason)
ON CONFLICT (only_row) DO UPDATE
    SET until = excluded.until, code = excluded.code, reason = excluded.reason,
        failures = p.failures + 1
RETURNING {COLUMNS}
"""  # noqa: S608
