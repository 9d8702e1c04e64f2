import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from include.audit import links, settings
from include.audit.models import Base
from include.migrations.upgrade import (
    VERSION_SCHEMA,
    VERSION_TABLE,
    downgrade,
    is_ours,
    upgrade,
)
from include.store.database import transaction
from include.store.errors import StoreNotMigratedError
from tests.database.world import FIELD, NOW, ORG

TABLES = """
SELECT table_schema || '.' || table_name FROM information_schema.tables
WHERE table_schema IN ('engagement', 'opt_out_sync') ORDER BY 1
"""


def make_partitions(conn: Connection) -> None:
    for table in ("merge_audit", "write_attempt"):
        values = {"audited": table, "now": NOW}
        conn.execute(text("SELECT opt_out_sync.ensure_audit_partitions(:audited, :now)"), values)


def tables(engine: Engine) -> list[str]:
    with transaction(engine) as conn:
        return list(conn.execute(text(TABLES)).scalars())


def test_every_migration_can_be_undone_and_done_again(empty_engine: Engine) -> None:
    upgrade(empty_engine)
    everything = tables(empty_engine)
    downgrade(empty_engine, "base")
    assert tables(empty_engine) == ["opt_out_sync.opt_out_alembic_version"]
    upgrade(empty_engine)
    assert tables(empty_engine) == everything
    assert "engagement.person" in everything


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_each_step_down_can_be_climbed_again(engine: Engine, revision: str) -> None:
    everything = tables(engine)
    downgrade(engine, revision)
    assert tables(engine) != everything
    upgrade(engine)
    assert tables(engine) == everything


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    everything = tables(engine)
    upgrade(engine)
    assert tables(engine) == everything


def test_the_models_equal_the_migrated_tables(engine: Engine) -> None:
    with engine.connect() as conn:
        make_partitions(conn)
        options = {
            "version_table": VERSION_TABLE,
            "version_table_schema": VERSION_SCHEMA,
            "include_schemas": True,
            "include_name": is_ours,
            "compare_server_default": False,
        }
        context = MigrationContext.configure(conn, opts=options)
        assert compare_metadata(context, Base.metadata) == []
        conn.execute(text("ALTER TABLE opt_out_sync.link ADD COLUMN surprise text"))
        assert len(compare_metadata(context, Base.metadata)) == 1


def test_a_store_that_was_never_migrated_says_what_to_run(empty_engine: Engine) -> None:
    with (
        pytest.raises(StoreNotMigratedError, match=r"python -m include\.cli migrate"),
        transaction(empty_engine) as conn,
    ):
        settings.current(conn)


def test_a_bulk_read_says_it_too(empty_engine: Engine) -> None:
    with pytest.raises(StoreNotMigratedError):
        links.read_links(empty_engine, ORG, FIELD)


def test_the_audit_is_partitioned_by_month_and_the_call_may_be_repeated(engine: Engine) -> None:
    with transaction(engine) as conn:
        for _ in range(2):
            make_partitions(conn)
    partitions = [name for name in tables(engine) if "_20" in name]
    assert partitions == [
        "opt_out_sync.merge_audit_2026_11",
        "opt_out_sync.merge_audit_2026_12",
        "opt_out_sync.write_attempt_2026_11",
        "opt_out_sync.write_attempt_2026_12",
    ]
