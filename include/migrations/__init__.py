"""The history of both schemas, run by alembic: `python -m include.cli migrate`."""
