"""`migrate`: create or update the tables."""

import argparse

from sqlalchemy import Engine

from include.cli.arguments import Commands
from include.migrations.upgrade import upgrade


def add_to(commands: Commands) -> None:
    """Add the command."""
    commands.add_parser("migrate", help="create or update the tables").set_defaults(
        command=_migrate
    )


def _migrate(engine: Engine, _: argparse.Namespace) -> None:
    upgrade(engine)
    print("The database is up to date.")
