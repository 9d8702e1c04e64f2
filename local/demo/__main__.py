"""Command line of the demo: `make demo` and what its summary proposes to try."""

import argparse
import sys
from collections.abc import Callable, Sequence

import psycopg2

from local.demo import DemoError, commands, launch
from local.demo.config import Config
from local.demo.console import complain
from local.demo.web import HttpError, NotReachableError
from local.supervisor import ChildDiedError, StopRequestedError

Command = Callable[[Config, argparse.Namespace], int | None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(Config.from_environment(), options) or 0
    except StopRequestedError as stop:
        return 128 + stop.signal_number
    except KeyboardInterrupt:
        return 130
    except (DemoError, ChildDiedError) as error:
        complain(str(error))
    except (NotReachableError, HttpError, psycopg2.OperationalError) as error:
        complain(f"A part of the demo does not answer as expected. {error}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    add = parser.add_subparsers(required=True, metavar="COMMAND").add_parser

    run = add("run", help="start everything, run a night, stay up")
    run.add_argument("--once", action="store_true", help="check the night, then stop")
    run.add_argument("--reset", action="store_true", help="throw all data away first")
    run.set_defaults(command=lambda c, o: launch.run(c, once=o.once, reset=o.reset))

    clean = add("clean", help="stop what is left and remove the demo's data")
    clean.set_defaults(command=lambda c, o: launch.clean(c))

    night = add("night", help="run a night now")
    night.set_defaults(command=lambda c, o: commands.run_night(c))

    unsubscribe = add("unsubscribe", help="a person clicks the link in a mail")
    unsubscribe.add_argument("person", type=int)
    unsubscribe.set_defaults(command=lambda c, o: commands.unsubscribe(c, o.person))

    for name, is_ticked in (("tick", True), ("clear", False)):
        box = add(name, help=f"a colleague {name}s the opt-out box of a Salesforce record")
        box.add_argument("record")
        box.set_defaults(
            command=lambda c, o, value=is_ticked: commands.set_box(c, o.record, is_ticked=value)
        )

    for name, is_visible in (("hide", False), ("show", True)):
        access = add(name, help=f"an admin {name}s the opt-out field of an object")
        access.add_argument("object", choices=("Contact", "Lead"))
        access.set_defaults(
            command=lambda c, o, value=is_visible: commands.set_visibility(
                c, o.object, is_visible=value
            )
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
