"""The command line: migrate the database, show and save settings.

python -m include.cli migrate
python -m include.cli settings show
python -m include.cli settings set --enable --by "Ada" --note "go live"
python -m include.cli settings history
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NoReturn

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from include.audit import settings
from include.audit.settings import FieldMode, Settings, SettingsVersion
from include.domain.errors import OptOutSyncError
from include.migrations.upgrade import upgrade
from include.store.database import connect, transaction

EXPLAINED = {
    "string_pattern_mismatch": "must be the API name of a custom field, like Sales_Opt_Out__c"
}
URL_HINT = "give --database-url or set OPT_OUT_SYNC_DATABASE_URL"


class Environment(BaseSettings):
    """What the deployment says: `OPT_OUT_SYNC_*`."""

    model_config = SettingsConfigDict(env_prefix="OPT_OUT_SYNC_")

    database_url: str = ""


class WrongInputError(Exception):
    """The command cannot be understood; the message is the one sentence to print."""


class OneSentenceParser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        raise WrongInputError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, 1 (the database refused) or 2 (wrong input)."""
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[Engine, argparse.Namespace], None] = options.command
        command(_engine(options.database_url), options)
    except WrongInputError as error:
        return _complain(error, 2)
    except OptOutSyncError as error:
        return _complain(error, 1)
    return 0


def _complain(error: Exception, status: int) -> int:
    print(f"opt-out-sync: {error}", file=sys.stderr)
    return status


def _engine(given: str | None) -> Engine:
    url = given or Environment().database_url
    if not url:
        raise WrongInputError(f"no database: {URL_HINT}")
    try:
        return connect(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        # Not chained, not quoted: the URL contains a password.
        raise WrongInputError(f"that is not a database URL: {URL_HINT}") from None


def _migrate(engine: Engine, _: argparse.Namespace) -> None:
    upgrade(engine)
    print("The database is up to date.")


def _show(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        _print_version(settings.current(conn))


def _history(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        versions = settings.history(conn)
    rows = [("version", "saved at", "by", "note", "changed")]
    for version, older in zip(versions, [*versions[1:], None], strict=True):
        rows.append((*_header(version), _difference(version, older)))
    _print_table(rows)


def _set(engine: Engine, options: argparse.Namespace) -> None:
    wanted = {name: getattr(options, name) for name in Settings.model_fields}
    changes = {name: value for name, value in wanted.items() if value is not None}
    with transaction(engine) as conn:
        before = settings.locked_current(conn)
        after = settings.save(
            conn,
            _changed(before.settings, changes),
            saved_by=options.by,
            note=options.note,
            now=datetime.now(UTC),
        )
    if after.version == before.version:
        print(f"Nothing to change: version {before.version} already says so.")
    else:
        _print_version(after)


def _changed(before: Settings, changes: dict[str, object]) -> Settings:
    try:
        return Settings.model_validate(before.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        place = str(first["loc"][0])
        sentence = EXPLAINED.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise WrongInputError(f"{place}: {sentence}") from error


def _header(version: SettingsVersion) -> tuple[str, str, str, str]:
    saved_at = f"{version.saved_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return str(version.version), saved_at, version.saved_by, version.note


def _difference(version: SettingsVersion, older: SettingsVersion | None) -> str:
    if older is None:
        return "defaults"
    before, after = _values(older.settings), _values(version.settings)
    return ", ".join(f"{name}={value}" for name, value in after.items() if before[name] != value)


def _values(chosen: Settings) -> dict[str, str]:
    return {name: _readable(value) for name, value in chosen}


def _readable(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _print_version(version: SettingsVersion) -> None:
    number, saved_at, saved_by, note = _header(version)
    print(f"Version {number}, saved {saved_at} by {saved_by}: {note}\n")
    values = _values(version.settings) | {"opt_out_field": version.settings.opt_out_field}
    _print_table([("setting", "value"), *values.items()])


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    lines = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="python -m include.cli", description="The opt-out sync.")
    parser.add_argument("--database-url", help="default: OPT_OUT_SYNC_DATABASE_URL")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    migrate = commands.add_parser("migrate", help="create or update the tables")
    migrate.set_defaults(command=_migrate)
    saved = commands.add_parser("settings", help="show or save the settings")
    actions = saved.add_subparsers(required=True, metavar="ACTION", title="actions")
    actions.add_parser("show", help="the current version").set_defaults(command=_show)
    actions.add_parser("history", help="every version").set_defaults(command=_history)
    _add_set(actions.add_parser("set", help="save a new version"))
    return parser


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_set, conflict_rule=None)
    _add_switch(parser, "enabled", on="--enable", off="--disable")
    _add_switch(parser, "paused", on="--pause", off="--resume")
    _add_switch(parser, "bounces_sync", on="--sync-bounces", off="--no-sync-bounces")
    parser.add_argument("--field-mode", choices=[mode.value for mode in FieldMode])
    parser.add_argument("--sales-field", dest="sales_opt_out_field", metavar="API_NAME")
    parser.add_argument("--scopes", dest="synced_scopes", nargs="+", metavar="SCOPE")
    for name in ("max-open-failures", "bulk-threshold", "api-reserve"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--by", required=True, type=_not_empty, metavar="NAME")
    parser.add_argument("--note", required=True, type=_not_empty, metavar="TEXT")


def _add_switch(parser: argparse.ArgumentParser, name: str, *, on: str, off: str) -> None:
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument(on, dest=name, action="store_const", const=True)
    switch.add_argument(off, dest=name, action="store_const", const=False)


def _not_empty(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return value.strip()


if __name__ == "__main__":
    sys.exit(main())
