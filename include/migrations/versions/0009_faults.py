"""Who changed a value after it was written, in the audit."""

from include.migrations.run_sql import run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0009_faults.sql")


def downgrade() -> None:
    run_sql("0009_faults_down.sql")
