"""The engagement store: people and their acts."""

from include.migrations.run_sql import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0001_engagement.sql")


def downgrade() -> None:
    run_sql("0001_engagement_down.sql")
