"""Retention of the audit, cheaper indexes and loads, and quick nights."""

from include.migrations.run_sql import run_sql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0013_retention.sql")


def downgrade() -> None:
    run_sql("0013_retention_down.sql")
