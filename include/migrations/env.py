"""How alembic reaches the database. `include.migrations.upgrade` hands over a connection."""

from alembic import context
from sqlalchemy import Connection

from include.audit.models import Base
from include.domain.errors import PermanentSyncError
from include.migrations.upgrade import VERSION_SCHEMA, VERSION_TABLE, is_ours


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        include_schemas=True,
        include_name=is_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


if "connection" not in context.config.attributes:
    raise PermanentSyncError("migrate with: python -m include.cli migrate")
run(context.config.attributes["connection"])
