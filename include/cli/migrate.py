"""`migrate`: create or update the tables, or go back to those of an older release."""

import argparse

from sqlalchemy import Engine

from include.cli.arguments import Commands, RefusedError
from include.migrations.upgrade import downgrade, revisions, upgrade


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "migrate", help="create or update the tables, or go back to an older release's"
    )
    parser.add_argument(
        "--down-to",
        metavar="REVISION",
        help="undo every newer migration; what only those hold is lost",
    )
    parser.set_defaults(command=_migrate)


def _migrate(engine: Engine, options: argparse.Namespace) -> None:
    if options.down_to is None:
        upgrade(engine)
        print("The database is up to date.")
        return
    known = revisions()
    if options.down_to not in known:
        raise RefusedError(
            f"this release has no migration {options.down_to}: {known[0]} to {known[-1]}; to go "
            "back, use the release that is installed now, not the older one"
        )
    downgrade(engine, options.down_to)
    print(f"The database is at revision {options.down_to}: install the release that needs it.")
