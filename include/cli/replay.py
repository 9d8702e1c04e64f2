"""`replay`: does the kept extract of a night still give what that night recorded?"""

import argparse

from sqlalchemy import Engine

from include.cli.arguments import Commands, RefusedError, WrongInputError, identifier
from include.cli.deployed import staging
from include.cli.printing import counted, print_table
from include.sync.clock import utc_now
from include.sync.reproduce import Difference, reproduce


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay", help="decide a past night again from its extract, and compare (writes nothing)"
    )
    parser.set_defaults(command=_replay)
    parser.add_argument("run", type=identifier, metavar="RUN", help="id of a night's run")
    parser.add_argument(
        "--from-extract", action="store_true", help="by what that night read, not by what is true"
    )


def _replay(engine: Engine, options: argparse.Namespace) -> None:
    if not options.from_extract:
        raise WrongInputError(
            "a past night is run again by a backfill in Airflow; add --from-extract to compare its "
            "recorded decisions with what its extract gives"
        )
    found = reproduce(engine, staging(), options.run, now=utc_now())
    decisions = counted(found.decisions, "decision")
    if found.difference is not None:
        _print(found.difference)
        raise RefusedError(
            f"run {options.run} is not reproduced: {found.difference.differing:,} of {decisions} "
            f"differ; this is the first, about person {found.difference.person_id}"
        )
    print(
        f"Run {options.run}, night of {found.night}: {decisions} reproduced from the extract, byte "
        f"for byte (SHA-256 {found.sha256})."
    )


def _print(difference: Difference) -> None:
    was, would = difference.recorded, difference.again
    nothing = "(no decision)"
    rows = [
        (name, was.get(name, "") if was else nothing, would.get(name, "") if would else nothing)
        for name in {**was, **would}
    ]
    print_table([("column", "recorded", "from the extract"), *rows])
