"""Jobs that a killed step finds again, replays, erasure, questions about a time, and roles."""

from include.migrations.run_sql import run_sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0007_trust.sql")


def downgrade() -> None:
    run_sql("0007_trust_down.sql")
