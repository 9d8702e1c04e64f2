"""The outbox of the push, what marks people in it, and open failures with their age."""

from include.migrations.run_sql import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0006_push.sql")


def downgrade() -> None:
    run_sql("0006_push_down.sql")
