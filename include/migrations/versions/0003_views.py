"""The analysts' views and their role."""

from include.migrations.run_sql import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0003_views.sql")


def downgrade() -> None:
    run_sql("0003_views_down.sql")
