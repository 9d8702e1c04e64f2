"""Decisions name what they replace; a night is shown with its replays."""

from include.migrations.run_sql import run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0008_replays.sql")


def downgrade() -> None:
    run_sql("0008_replays_down.sql")
