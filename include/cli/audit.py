"""`audit`: what the audit takes, and what its retention did and would do."""

import argparse
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine

from include.audit import retention, settings
from include.audit.retention import Month, Partition, Thinned
from include.cli.arguments import Commands, text
from include.cli.printing import counted, print_table, utc
from include.store.clock import clock_of
from include.store.database import transaction

MIB: Final = 1024**2


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("audit", help="the size of the audit, and its retention")
    actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
    show = actions.add_parser("show", help="each month, what is due to be thinned, what was")
    show.set_defaults(command=_show)
    thin = actions.add_parser("thin", help="thin every month that is due, not one a night")
    thin.set_defaults(command=_thin)
    thin.add_argument("--by", required=True, type=text, metavar="NAME", help="who asks for it")


def _show(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        keep = settings.current(conn).settings.audit_keep_months
        parts = retention.partitions(conn)
        due = retention.due(conn, now=datetime.now(UTC))
        done = retention.history(conn)
    print_table([("part", "rows, about", "table MiB", "indexes MiB"), *map(_part, parts)])
    kept = f"for {keep} months" if keep else "for ever"
    print(f"\nEverything is kept {kept} (setting audit_keep_months). {_due(due)}")
    if done:
        print()
        head = ("table", "month", "rows before", "rows kept", "thinned at", "by", "settings")
        print_table([head, *map(_thinned, done)])


def _thin(engine: Engine, options: argparse.Namespace) -> None:
    clock = clock_of(engine)
    with transaction(engine) as conn:
        due = retention.due(conn, now=clock())
    if not due:
        print("Nothing to thin.")
    for month in due:
        done = retention.thin(engine, month, by=options.by, now=clock())
        if done is not None:
            print(
                f"{done.audit_table} of {done.month:%Y-%m}: kept {done.rows_kept:,} of "
                f"{counted(done.rows_before, 'row')}."
            )


def _due(due: list[Month]) -> str:
    months = sorted({f"{each.month:%Y-%m}" for each in due})
    if not months:
        return "No month is due to be thinned."
    return f"Due to be thinned, one after each night: {', '.join(months)}."


def _part(part: Partition) -> tuple[str, ...]:
    rows = "-" if part.rows is None else f"{part.rows:,}"
    return (part.name, rows, f"{part.table_bytes / MIB:,.1f}", f"{part.index_bytes / MIB:,.1f}")


def _thinned(done: Thinned) -> tuple[str, ...]:
    return (
        done.audit_table,
        f"{done.month:%Y-%m}",
        f"{done.rows_before:,}",
        f"{done.rows_kept:,}",
        utc(done.thinned_at),
        done.thinned_by,
        f"version {done.settings_version}, {done.keep_months} months",
    )
