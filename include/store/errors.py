"""What a database can refuse, without the values it refused.

PostgreSQL and its drivers put the offending row into their messages, and a row may hold an address.
So the original error is never chained and never quoted: SQLSTATE and constraint say enough.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import adbc_driver_manager
import psycopg2
from sqlalchemy.exc import DBAPIError

from include.domain.errors import OptOutSyncError, PermanentSyncError, TransientSyncError

OWN_ERROR = "OS001"  # raised by our own triggers and functions: fixed sentences, no values
MIGRATE = "the store is not migrated: run python -m include.cli migrate"


class StoreUnavailableError(TransientSyncError):
    """The database could not be reached, or the connection was lost."""


class StoreBusyError(TransientSyncError):
    """A deadlock, a lock that took too long, or a server short of disk or memory."""


class StoreNotMigratedError(PermanentSyncError):
    """A schema, table, column or function of ours is missing."""


class StoreRefusedError(PermanentSyncError):
    """The database refused a statement: a constraint, a privilege, a type."""


class NotPostgresError(PermanentSyncError):
    """The database URL leads to something else."""


class UnknownPersonError(PermanentSyncError):
    """No person of the store has this id."""


class IncompleteEvidenceError(PermanentSyncError):
    """A resubscribe without reason, actor or reference proves nothing."""


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn driver errors into ours; works as a decorator too.

    Raises:
        StoreUnavailableError, StoreBusyError: a retry helps.
        StoreNotMigratedError, StoreRefusedError: it does not.
    """
    try:
        yield
    except DBAPIError as error:
        translated = _from_sqlalchemy(error)
    except psycopg2.Error as error:
        translated = _from_psycopg2(error)
    except adbc_driver_manager.Error as error:
        translated = _from_adbc(error)
    else:
        return
    raise translated from None  # the original names values: see the top of this file


def _from_sqlalchemy(error: DBAPIError) -> OptOutSyncError:
    if isinstance(error.orig, psycopg2.Error):
        return _from_psycopg2(error.orig)
    return StoreRefusedError("the database driver refused a statement")


def _from_psycopg2(error: psycopg2.Error) -> OptOutSyncError:
    diagnostics = getattr(error, "diag", None)
    constraint = getattr(diagnostics, "constraint_name", None)
    sentence = getattr(diagnostics, "message_primary", None)
    if error.pgcode is None and _is_loss(error):
        return _unavailable()
    return _translate(error.pgcode, constraint, sentence)


def _is_loss(error: psycopg2.Error) -> bool:
    """Tell whether the connection is gone; within a transaction psycopg2 names no kind of error."""
    kinds = psycopg2.OperationalError | psycopg2.InterfaceError
    return isinstance(error, kinds) or type(error) is psycopg2.DatabaseError


def _from_adbc(error: adbc_driver_manager.Error) -> OptOutSyncError:
    if error.sqlstate is None and error.status_code == adbc_driver_manager.AdbcStatusCode.IO:
        return _unavailable()
    return _translate(error.sqlstate, None, None)


def _unavailable() -> StoreUnavailableError:
    return StoreUnavailableError("the database cannot be reached, or the connection was lost")


def _translate(
    sqlstate: str | None, constraint: str | None, sentence: str | None
) -> OptOutSyncError:
    kind = next((kind for codes, kind in KINDS if (sqlstate or "").startswith(codes)), None)
    if kind is StoreNotMigratedError:
        return StoreNotMigratedError(f"{MIGRATE} (SQLSTATE {sqlstate})")
    if sqlstate == OWN_ERROR and sentence:
        return StoreRefusedError(sentence)
    named = f", constraint {constraint}" if constraint else ""
    return (kind or StoreRefusedError)(
        f"the database answered SQLSTATE {sqlstate or 'unknown'}{named}"
    )


KINDS: tuple[tuple[tuple[str, ...], type[OptOutSyncError]], ...] = (
    # connection exceptions, too many connections, shutdown in progress, start-up in progress, a
    # transaction that stood still, a server that only reads: after a failover it may be the old one
    (("08", "53300", "57P01", "57P02", "57P03", "25P03", "25006"), StoreUnavailableError),
    # deadlock, serialization failure, lock not available, cancelled by an admin or a time-out,
    # short of disk or memory, a disk that does not answer
    (("40P01", "40001", "55P03", "57014", "53", "58030"), StoreBusyError),
    # undefined schema, table, column, function
    (("3F000", "42P01", "42703", "42883"), StoreNotMigratedError),
)
