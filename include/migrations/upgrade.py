"""Brings a database to a version of the schemas."""

import re
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.schema import CreateSchema

from include.store.database import transaction

VERSION_SCHEMA = "opt_out_sync"
VERSION_TABLE = "opt_out_alembic_version"
SCHEMAS = frozenset({"engagement", VERSION_SCHEMA})
LOCK_SECONDS = 30
PARTITION = re.compile(r"(merge_audit|write_attempt)_(default|\d{4}_\d{2})")


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply every migration up to `revision`; repeating it changes nothing.

    Raises:
        PermanentSyncError: the database refused, for example a missing privilege.
    """
    _migrate(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations down to `revision` (`base`: all of them). Drops the data they hold."""
    _migrate(engine, lambda config: command.downgrade(config, revision))


def head() -> str | None:
    """Return the revision that this release needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def revisions() -> list[str]:
    """Return every revision that this release knows, oldest first."""
    script = ScriptDirectory.from_config(_config())
    return [each.revision for each in script.walk_revisions()][::-1]


def is_ours(
    name: str | None,
    type_: Literal[
        "schema",
        "table",
        "column",
        "index",
        "unique_constraint",
        "foreign_key_constraint",
        "check_constraint",
    ],
    parent_names: MutableMapping[
        Literal["schema_name", "table_name", "schema_qualified_table_name"], str | None
    ],
) -> bool:
    """Whether alembic compares this object with the models: partitions come and go by month."""
    if type_ == "schema":
        return name in SCHEMAS
    if type_ == "table":
        return PARTITION.fullmatch(name or "") is None
    return True


def _migrate(engine: Engine, run: Callable[[Config], None]) -> None:
    with transaction(engine) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('opt_out_sync.migrate'))"))
        # Whoever waits for a table stands in the way of all who come later, so nobody waits long;
        # an index over years of audit takes as long as it takes.
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        _create_version_schema(connection)
        config = _config()
        config.attributes["connection"] = connection
        run(config)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", Path(__file__).parent.as_posix().replace("%", "%%"))
    return config


def _create_version_schema(connection: Connection) -> None:
    # Asked first: CREATE SCHEMA IF NOT EXISTS needs the privilege even where it does nothing.
    if VERSION_SCHEMA not in inspect(connection).get_schema_names():
        connection.execute(CreateSchema(VERSION_SCHEMA))
