"""`simulate`: what a night would have decided under other settings."""

import argparse

import pandas as pd
from sqlalchemy import Engine

from include.cli.arguments import Commands, RefusedError, WrongInputError, identifier, text
from include.cli.deployed import staging
from include.cli.printing import counted, for_people, print_table
from include.cli.settings import add_rules, changed
from include.reports.versions import readable
from include.sync.simulate import Simulation, open_night, simulate

SHOWN = 50


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "simulate", help="what a night would have decided under other settings (writes nothing)"
    )
    parser.set_defaults(command=_simulate)
    parser.add_argument("run", type=identifier, metavar="RUN", help="id of a night's run")
    add_rules(parser)
    parser.add_argument("--csv", type=text, metavar="FILE", help="write every difference to a file")


def _simulate(engine: Engine, options: argparse.Namespace) -> None:
    run = open_night(engine, options.run)
    before = run.settings.settings
    after = changed(before, options)
    if after == before:
        raise WrongInputError(
            f"that is what run {run.id} was decided by: give --rule, --field-mode, --scopes, "
            "--sync-bounces or --clock-skew another value (see settings show)"
        )
    found = simulate(engine, staging(), run, after)
    _print(run.id, found)
    if options.csv:
        _write(options.csv, found.differences)
        print(f"{options.csv} has all {counted(len(found.differences), 'difference')}.")


def _print(run_id: int, found: Simulation) -> None:
    print(f"Run {run_id}, decided again with {_difference(found)}. Nothing is written.\n")
    _print_counts("links by code", found.codes)
    if not found.verdicts.empty:
        print()
        _print_counts("resubscribes by verdict", found.verdicts)
    print()
    _print_people(found.people)


def _difference(found: Simulation) -> str:
    before, after = dict(found.before), dict(found.after)
    return ", ".join(
        f"{name} {readable(value)} (was {readable(before[name])})"
        for name, value in after.items()
        if before[name] != value
    )


def _print_counts(title: str, counts: pd.DataFrame) -> None:
    rows = [
        (str(code), f"{before:,}", f"{after:,}", f"{after - before:+,}" if after != before else "")
        for code, before, after in counts.itertuples()
    ]
    print_table([(title, "as it was", "would be", ""), *rows])


def _print_people(people: list[int]) -> None:
    if not people:
        print("Nobody would be decided otherwise.")
        return
    would = counted(len(people), "person", "people")
    print(f"{would} would be decided otherwise: {', '.join(map(str, people[:SHOWN]))}")
    if len(people) > SHOWN:
        print(f"These are the first {SHOWN}: --csv FILE writes them all.")


def _write(path: str, differences: pd.DataFrame) -> None:
    try:
        for_people(differences).to_csv(path, index=False)
    except OSError as error:
        raise RefusedError(f"--csv: the file cannot be written ({error.strerror})") from None
