"""Settings, runs, links, decisions and writes of the sync."""

from include.migrations.run_sql import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0002_sync.sql")


def downgrade() -> None:
    run_sql("0002_sync_down.sql")
