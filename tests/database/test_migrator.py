"""The fifth role: who migrates owns the tables, is no superuser, and cannot change evidence."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from include.migrations.upgrade import upgrade
from include.store.database import connect, transaction

ROLES = ("opt_out_analyst", "opt_out_sync_writer", "opt_out_admin", "opt_out_support")
REFUSED_BY_RIGHTS = [
    "CREATE ROLE somebody SUPERUSER",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY engagement.person TO '/tmp/people.csv'",
    "SELECT * FROM pg_authid",
]
EVIDENCE = ("merge_audit", "write_attempt", "resubscribe_judgement", "erasure", "look_up")


@pytest.fixture
def migrator(empty_engine: Engine) -> Iterator[Engine]:
    """A database that a user without superuser owns and has migrated."""
    name = f"opt_out_migrator_{os.getpid()}"
    with transaction(empty_engine) as conn:
        conn.execute(text(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'"))
        conn.execute(text(f"ALTER DATABASE {empty_engine.url.database} OWNER TO {name}"))
        for role in ROLES:  # of another installation on this server: they are used as they are
            conn.execute(
                text(
                    f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
                    "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
                )
            )
    owner = connect(empty_engine.url.set(username=name, password="x"))
    try:
        upgrade(owner)
        yield owner
    finally:
        owner.dispose()
        _forget(empty_engine, name)


def _forget(empty_engine: Engine, name: str) -> None:
    with transaction(empty_engine) as conn:
        database = empty_engine.url.database
        conn.execute(text(f"ALTER DATABASE {database} OWNER TO CURRENT_USER"))
        conn.execute(text(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}"))


def test_owning_the_database_is_enough_to_migrate(migrator: Engine) -> None:
    with transaction(migrator) as conn:
        owners = conn.execute(
            text(
                "SELECT DISTINCT tableowner FROM pg_tables "
                "WHERE schemaname IN ('engagement', 'opt_out_sync')"
            )
        ).scalars()
        assert list(owners) == [migrator.url.username]


@pytest.mark.parametrize("statement", REFUSED_BY_RIGHTS)
def test_whoever_migrates_is_no_superuser(migrator: Engine, statement: str) -> None:
    with migrator.connect() as conn, pytest.raises(DBAPIError) as refused:
        conn.execute(text(statement))
    assert refused.value.orig.pgcode == "42501"  # type: ignore[union-attr]


def test_whoever_migrates_cannot_empty_a_table_of_evidence(migrator: Engine) -> None:
    statements = [f"TRUNCATE opt_out_sync.{table}" for table in EVIDENCE]
    for statement in [*statements, "DELETE FROM opt_out_sync.settings_version"]:
        with migrator.connect() as conn, pytest.raises(DBAPIError) as refused:
            conn.execute(text(statement))
        assert refused.value.orig.pgcode == "OS001", statement  # type: ignore[union-attr]
