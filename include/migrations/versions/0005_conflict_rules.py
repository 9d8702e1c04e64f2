"""Judgements, held clears, confirmed orgs; decisions and links know evidence and times."""

from include.migrations.run_sql import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0005_conflict_rules.sql")


def downgrade() -> None:
    run_sql("0005_conflict_rules_down.sql")
