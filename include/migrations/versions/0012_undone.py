"""Who changed a value after it was written, in the audit."""

from include.migrations.run_sql import run_sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0012_undone.sql")


def downgrade() -> None:
    run_sql("0012_undone_down.sql")
