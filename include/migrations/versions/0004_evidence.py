"""Accepted evidence ends an opt-out; who stands opted out, and why."""

from include.migrations.run_sql import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0004_evidence.sql")


def downgrade() -> None:
    run_sql("0004_evidence_down.sql")
