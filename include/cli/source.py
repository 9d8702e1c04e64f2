"""`salesforce-source`: write what the setup installs as files for Salesforce's own tools."""

import argparse
from pathlib import Path

from sqlalchemy import Engine

from include.audit import settings
from include.audit.settings import Settings
from include.cli.arguments import Commands, RefusedError, text
from include.salesforce import source
from include.salesforce.definitions import Checkbox
from include.store.database import transaction


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "salesforce-source", help="write what the setup installs as source for Salesforce's tools"
    )
    parser.add_argument("folder", type=text, metavar="FOLDER", help="where; made if missing")
    parser.add_argument(
        "--defaults",
        action="store_true",
        help="with the default name and label of the checkbox, not those of the settings",
    )
    parser.set_defaults(command=_write)


def _write(engine: Engine, options: argparse.Namespace) -> None:
    chosen = Settings() if options.defaults else _chosen(engine)
    checkbox = Checkbox(chosen.sales_opt_out_field, chosen.sales_opt_out_label)
    written = source.files(checkbox)
    folder = Path(options.folder)
    try:
        for path, content in written.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except OSError as error:
        raise RefusedError(f"the folder cannot be written ({error.strerror})") from error
    print(f"{len(written)} files in {folder}, for {checkbox.name} ({checkbox.label}).")


def _chosen(engine: Engine) -> Settings:
    with transaction(engine) as conn:
        return settings.current(conn).settings
