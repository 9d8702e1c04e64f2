"""What a night asks of a million links, by index; many acts of the sync in one statement."""

from include.migrations.run_sql import run_sql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0011_speed.sql")


def downgrade() -> None:
    run_sql("0011_speed_down.sql")
