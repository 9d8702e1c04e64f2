"""Whether somebody on the way could read, or pretend to be, the database.

PostgreSQL's client encrypts if the server offers it and verifies nobody, unless it is told to.
"""

from typing import Final

from sqlalchemy import Engine, text

from include.store.database import transaction

_VERIFYING: Final = frozenset({"verify-full", "verify-ca"})
_HELP: Final = "add sslmode=verify-full to the Connection engagement_store"


def weakness(engine: Engine) -> str | None:
    """Say what is wrong with the connection to the database; None if nothing is.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    with transaction(engine) as conn:
        row = conn.execute(text(CONNECTION)).one()
    mode = engine.url.query.get("sslmode", "")
    return weakness_of(is_local=row.is_local, is_encrypted=row.is_encrypted, mode=str(mode))


def weakness_of(*, is_local: bool, is_encrypted: bool, mode: str) -> str | None:
    """Say what is wrong with a connection.

    Args:
        is_local: it does not leave this machine.
        is_encrypted: by TLS.
        mode: the client's `sslmode`.
    """
    if is_local:
        return None
    if not is_encrypted:
        return f"the connection to the database is not encrypted: {_HELP}"
    if mode not in _VERIFYING:
        return f"nobody verifies that the database is the right one: {_HELP}"
    return None


CONNECTION = """
SELECT coalesce(client_addr = inet_server_addr() OR client_addr << '127.0.0.0/8', true) AS is_local,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS is_encrypted
FROM pg_stat_activity WHERE pid = pg_backend_pid()
"""
