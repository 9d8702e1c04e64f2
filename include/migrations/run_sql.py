"""Runs the SQL files of the migrations."""

from pathlib import Path

from alembic import op

SQL = Path(__file__).parent / "sql"


def run_sql(name: str) -> None:
    """Run one file of `include/migrations/sql` as it stands."""
    connection = op.get_bind().execution_options(no_parameters=True)  # a % is just a %
    connection.exec_driver_sql((SQL / name).read_text(encoding="utf-8"))
