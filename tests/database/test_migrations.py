import os

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
from tests.database.world import FIELD, NOW, ORG, add_people, record, standing

OBJECTS = """
SELECT concat_ws(' ', c.oid::regclass, pg_get_viewdef(c.oid),
                 CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END)
FROM pg_class AS c
WHERE c.relnamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
UNION ALL
SELECT concat_ws(' ', a.attrelid::regclass, a.attname, a.atttypid::regtype, a.attnotnull)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
  AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
UNION ALL
SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p
WHERE p.pronamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
UNION ALL
SELECT concat_ws(' ', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint AS c
WHERE c.connamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
  AND c.contype <> 'n'
UNION ALL
SELECT concat_ws(' ', t.tgrelid::regclass, pg_get_triggerdef(t.oid))
FROM pg_trigger AS t WHERE NOT t.tgisinternal
ORDER BY 1
"""
RIGHTS = """
SELECT concat_ws(' ', made.name, made.attname, r.grantee::regrole, r.privilege_type)
FROM (
    SELECT c.oid::regclass::text AS name, NULL AS attname, c.relacl AS acl FROM pg_class AS c
    WHERE c.relnamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
    UNION ALL
    SELECT a.attrelid::regclass::text, a.attname, a.attacl
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
    UNION ALL
    SELECT p.oid::regprocedure::text, NULL, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc AS p
    WHERE p.pronamespace IN ('engagement'::regnamespace, 'opt_out_sync'::regnamespace)
    UNION ALL
    SELECT n.nspname, NULL, n.nspacl FROM pg_namespace AS n
    WHERE n.nspname IN ('engagement', 'opt_out_sync')
) AS made
CROSS JOIN LATERAL aclexplode(made.acl) AS r
WHERE r.grantee <> current_user::regrole
ORDER BY 1
"""
LEVEL = "SELECT version_num FROM opt_out_sync.opt_out_alembic_version"
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


def objects(engine: Engine) -> list[str]:
    """Everything that migrations make, and who may do what with it, as the catalogue says it."""
    with transaction(engine) as conn:
        return [row for query in (OBJECTS, RIGHTS) for row in conn.execute(text(query)).scalars()]


STEPS = [f"{number:04}" for number in range(1, 13)]


@pytest.mark.parametrize("revision", STEPS)
def test_each_step_down_can_be_climbed_again(engine: Engine, revision: str) -> None:
    everything = objects(engine)
    downgrade(engine, revision)
    assert objects(engine) != everything
    with transaction(engine) as conn:
        assert conn.execute(text(LEVEL)).scalar_one() == revision
    upgrade(engine)
    assert objects(engine) == everything


@pytest.mark.parametrize("revision", STEPS)
def test_a_step_down_leaves_what_climbing_to_it_makes(empty_engine: Engine, revision: str) -> None:
    upgrade(empty_engine, revision)
    everything = objects(empty_engine)
    upgrade(empty_engine)
    downgrade(empty_engine, revision)
    assert objects(empty_engine) == everything


OLD_ACT = """
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, caused_by, occurred_at, idempotency_key)
VALUES (:person, 'unsubscribe', 'team', 'Salesforce Sync', :cause, :at, :cause)
"""


def test_an_upgrade_keeps_opt_outs_and_the_rights_of_senders(empty_engine: Engine) -> None:
    upgrade(empty_engine, "0003")
    role = f"opt_out_test_old_sender_{os.getpid()}"
    with transaction(empty_engine) as conn:
        (person,) = add_people(conn, 1)
        for cause in ("by hand", f"salesforce:{record(1)}:{FIELD}"):
            conn.execute(text(OLD_ACT), {"person": person, "cause": cause, "at": NOW})
        conn.execute(text(f"CREATE ROLE {role}"))
        conn.execute(text(f"GRANT USAGE ON SCHEMA engagement TO {role}"))
        conn.execute(text(f"GRANT SELECT ON engagement.person_opt_out TO {role}"))
        conn.execute(text("CREATE VIEW mailable AS SELECT * FROM engagement.person_opt_out"))
    try:
        upgrade(empty_engine)
        with transaction(empty_engine) as conn:
            assert len(standing(conn)) == 2
            conn.execute(text(f"SET LOCAL ROLE {role}"))
            query = text("SELECT is_opted_out FROM engagement.person_opt_out")
            assert conn.execute(query).scalar_one() is True
        downgrade(empty_engine, "0003")
    finally:
        with transaction(empty_engine) as conn:
            conn.execute(text(f"DROP OWNED BY {role}"))
            conn.execute(text(f"DROP ROLE {role}"))


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
