"""`settings`: show, save and look back."""

import argparse
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy import Engine

from include.audit import settings
from include.audit.settings import FieldMode, Settings, SettingsVersion
from include.cli.arguments import (
    Commands,
    WrongInputError,
    add_author,
    add_switch,
    fraction,
    text,
    whole_number,
)
from include.cli.printing import print_table, utc
from include.domain.conflicts import ConflictRule
from include.reports.versions import readable
from include.store.database import transaction

_LIMITS = {
    "max-open-failures": "failed writes that leave a night green",
    "bulk-threshold": "records from which on the Bulk API is used",
    "api-reserve": "API requests that are left to others",
    "audit-keep-months": "months that the audit keeps every row, from 24; 0: for ever",
}
_ALERTS = {
    "alert-writes-fraction": "... or more than this part of the links",
    "alert-drop-fraction": "tell of an object that lost this part of its opted-out records",
    "alert-hidden-fraction": "tell of an object of whose links this part is newly not visible",
}


def add_to(commands: Commands) -> None:
    """Add the command."""
    saved = commands.add_parser("settings", help="show or save the settings")
    actions = saved.add_subparsers(required=True, metavar="ACTION", title="actions")
    actions.add_parser("show", help="the current version").set_defaults(command=_show)
    actions.add_parser("history", help="every version").set_defaults(command=_history)
    _add_set(actions.add_parser("set", help="save a new version"))


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide what a merge does; each is None where it is not given."""
    parser.add_argument(
        "--rule",
        dest="conflict_rule",
        choices=[rule.value for rule in ConflictRule],
        help="who wins when only one side changed",
    )
    parser.add_argument(
        "--field-mode", choices=[mode.value for mode in FieldMode], help="which checkboxes"
    )
    parser.add_argument(
        "--scopes", dest="synced_scopes", nargs="+", type=text, metavar="SCOPE", help="team, sender"
    )
    parser.add_argument(
        "--clock-skew",
        dest="clock_skew_seconds",
        type=whole_number,
        metavar="SECONDS",
        help="how far the clocks of the store and of Salesforce may be apart",
    )
    add_switch(parser, "bounces_sync", on="--sync-bounces", off="--no-sync-bounces")


def changed(before: Settings, options: argparse.Namespace) -> Settings:
    """Return the settings with what the options say.

    Raises:
        WrongInputError: a setting cannot be that; the sentence says what it must be.
    """
    wanted = {name: getattr(options, name, None) for name in Settings.model_fields}
    changes = {name: value for name, value in wanted.items() if value is not None}
    try:
        return Settings.model_validate(before.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        sentence = first["msg"].removeprefix("Value error, ")
        raise WrongInputError(f"{first['loc'][0]}: {sentence}") from None


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_set)
    add_switch(parser, "enabled", on="--enable", off="--disable")
    add_switch(parser, "paused", on="--pause", off="--resume")
    add_rules(parser)
    parser.add_argument("--sales-field", dest="sales_opt_out_field", type=text, metavar="API_NAME")
    parser.add_argument("--sales-label", dest="sales_opt_out_label", type=text, metavar="LABEL")
    for name, meaning in _LIMITS.items():
        parser.add_argument(f"--{name}", type=whole_number, metavar="N", help=meaning)
    _add_brakes(parser)
    add_author(parser)


def _add_brakes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--evidence-days", type=whole_number, metavar="N", help="how long evidence may wait"
    )
    parser.add_argument(
        "--held-minimum",
        dest="held_clears_minimum",
        type=whole_number,
        metavar="N",
        help="so many clears a day never wait for a person",
    )
    parser.add_argument(
        "--held-fraction",
        dest="held_clears_fraction",
        type=fraction,
        metavar="F",
        help="... nor does this part of the links",
    )
    parser.add_argument(
        "--alert-writes-minimum", type=whole_number, metavar="N", help="tell of more opt-outs, ..."
    )
    for name, meaning in _ALERTS.items():
        parser.add_argument(f"--{name}", type=fraction, metavar="F", help=meaning)


def _show(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        _print_version(settings.current(conn))


def _history(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        versions = settings.history(conn)
    rows = [("version", "saved at", "by", "note", "changed")]
    for version, older in zip(versions, [*versions[1:], None], strict=True):
        rows.append((*_header(version), _difference(version, older)))
    print_table(rows)


def _set(engine: Engine, options: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        before = settings.locked_current(conn)
        after = settings.save(
            conn,
            changed(before.settings, options),
            saved_by=options.by,
            note=options.note,
            now=datetime.now(UTC),
        )
    if after.version == before.version:
        print(f"Nothing to change: version {before.version} already says so.")
    else:
        _print_version(after)


def _header(version: SettingsVersion) -> tuple[str, str, str, str]:
    return str(version.version), utc(version.saved_at), version.saved_by, version.note


def _difference(version: SettingsVersion, older: SettingsVersion | None) -> str:
    if older is None:
        return "defaults"
    before, after = _values(older.settings), _values(version.settings)
    return ", ".join(f"{name}={value}" for name, value in after.items() if before[name] != value)


def _values(chosen: Settings) -> dict[str, str]:
    return {name: readable(value) for name, value in chosen}


def _print_version(version: SettingsVersion) -> None:
    number, saved_at, saved_by, note = _header(version)
    print(f"Version {number}, saved {saved_at} by {saved_by}: {note}\n")
    chosen = version.settings
    values = _values(chosen) | {"opt_out_fields": readable(chosen.opt_out_fields)}
    print_table([("setting", "value"), *values.items()])
