"""The program around the commands: finds the database, runs one command, explains what failed."""

import sys
from collections.abc import Sequence

from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from include.cli import (
    audit,
    clears,
    corrections,
    explain,
    migrate,
    orgs,
    people,
    replay,
    resubscribe,
    settings,
    simulate,
    source,
)
from include.cli.arguments import (
    Command,
    OneSentenceParser,
    RefusedError,
    WrongInputError,
    is_storable,
    without_addresses,
)
from include.domain.errors import OptOutSyncError
from include.store.database import connect

URL_HINT = "give --database-url or set OPT_OUT_SYNC_DATABASE_URL"
FAMILIES = (
    migrate,
    settings,
    resubscribe,
    explain,
    simulate,
    replay,
    corrections,
    orgs,
    clears,
    people,
    source,
    audit,
)


class Environment(BaseSettings):
    """What the deployment says: `OPT_OUT_SYNC_*`."""

    model_config = SettingsConfigDict(env_prefix="OPT_OUT_SYNC_")

    database_url: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, 1 (refused) or 2 (wrong input)."""
    try:
        options = parser().parse_args(arguments)
        command: Command = options.command
        command(_engine(options.database_url), options)
    except WrongInputError as error:
        return _complain(error, 2)
    except (OptOutSyncError, RefusedError) as error:
        return _complain(error, 1)
    return 0


def parser() -> OneSentenceParser:
    """Return the parser of all commands."""
    program = OneSentenceParser(prog="python -m include.cli", description="The opt-out sync.")
    program.add_argument("--database-url", help="default: OPT_OUT_SYNC_DATABASE_URL")
    commands = program.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for family in FAMILIES:
        family.add_to(commands)
    return program


def _complain(error: Exception, status: int) -> int:
    print(f"opt-out-sync: {without_addresses(str(error))}", file=sys.stderr)
    return status


def _engine(given: str | None) -> Engine:
    url = given or Environment().database_url
    if not url:
        raise WrongInputError(f"no database: {URL_HINT}")
    try:
        if is_storable(url):
            return connect(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        pass
    # Neither chained nor quoted: the URL contains a password.
    raise WrongInputError(f"that is not a database URL: {URL_HINT}")
