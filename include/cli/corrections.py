"""`correct-run`: undo what a run carried into the store by mistake."""

import argparse
from datetime import UTC, datetime

from sqlalchemy import Engine

from include.cli.arguments import Commands, identifier, text
from include.cli.printing import counted
from include.sync import corrections
from include.sync.corrections import Correction


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "correct-run", help="record a consent for each opt-out that a run caused by mistake"
    )
    parser.set_defaults(command=_correct)
    parser.add_argument("run", type=identifier, metavar="RUN", help="id of the run")
    parser.add_argument("--reason", required=True, type=text, metavar="TEXT", help="what was wrong")
    parser.add_argument("--approver", required=True, type=text, metavar="NAME", help="who approved")
    parser.add_argument("--yes", action="store_true", help="record them; without it only count")


def _correct(engine: Engine, options: argparse.Namespace) -> None:
    if not options.yes:
        _print_plan(options.run, corrections.plan(engine, options.run))
        return
    made = corrections.correct(
        engine,
        options.run,
        reason=options.reason,
        approver=options.approver,
        now=datetime.now(UTC),
    )
    print(_facts(options.run, made))
    before = f" ({made.repeated:,} were recorded before)" if made.repeated else ""
    print(f"Recorded {counted(made.recorded, 'consent')}{before}.")
    if made.recorded:
        print("The next run judges them; more clears than the settings allow wait for approval.")


def _print_plan(run: int, planned: Correction) -> None:
    print(_facts(run, planned))
    print(
        f"Nothing was recorded. With --yes: {counted(planned.recorded, 'consent')}, less those "
        "that an earlier correction recorded."
    )


def _facts(run: int, made: Correction) -> str:
    return (
        f"Run {run} recorded {counted(made.caused, 'opt-out')} in the store: {made.ended:,} ended "
        f"since, {made.opted_out_otherwise:,} of people who opted out otherwise, too."
    )
