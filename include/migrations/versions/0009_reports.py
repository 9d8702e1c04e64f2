"""What people look at: nights in numbers, deadlines, look-ups, and indexes for browsing."""

from include.migrations.run_sql import run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0009_reports.sql")


def downgrade() -> None:
    run_sql("0009_reports_down.sql")
