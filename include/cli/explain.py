"""`explain`: everything that happened to a person, and one sentence that sums it up."""

import argparse

from sqlalchemy import Engine

from include.cli.arguments import Commands, identifier
from include.cli.printing import print_table, utc
from include.sync.explain import Event, explain


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("explain", help="why a person is, or is not, opted out")
    parser.set_defaults(command=_explain)
    parser.add_argument("person", type=identifier, metavar="PERSON", help="id of the person")


def _explain(engine: Engine, options: argparse.Namespace) -> None:
    found = explain(engine, options.person)
    if found.events:
        print_table([("at", "run", "what", "side", "code", "detail"), *map(_row, found.events)])
        print()
    print(found.sentence)


def _row(event: Event) -> tuple[str, ...]:
    run = "-" if event.sync_run_id is None else str(event.sync_run_id)
    return (utc(event.at), run, event.what, event.side or "-", event.code, event.detail)
