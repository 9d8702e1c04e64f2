"""The label of the custom field is a setting: nothing to add, but an older release refuses it."""

from include.migrations.run_sql import run_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing: settings are documents, and what is missing in one is the default."""


def downgrade() -> None:
    run_sql("0010_label_down.sql")
