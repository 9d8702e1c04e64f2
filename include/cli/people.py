"""`opt-out-at` and `forget`: what was true of a person, and nothing more of them."""

import argparse
from datetime import UTC, datetime

from sqlalchemy import Engine

from include.audit.past import Fact, opt_out_at
from include.cli.arguments import Commands, RefusedError, add_author, identifier, moment
from include.cli.printing import counted, print_table, utc
from include.store.database import transaction
from include.store.erasure import erase_person


def add_to(commands: Commands) -> None:
    """Add the commands."""
    at = commands.add_parser("opt-out-at", help="what both sides said of a person at a time")
    at.set_defaults(command=_opt_out_at)
    at.add_argument("person", type=identifier, metavar="PERSON", help="id of the person")
    at.add_argument("time", type=moment, metavar="TIME", help="with its time zone")
    forget = commands.add_parser("forget", help="erase a person, and keep the opt-out as a hash")
    forget.set_defaults(command=_forget)
    forget.add_argument("person", type=identifier, metavar="PERSON", help="id of the person")
    add_author(forget)
    forget.add_argument("--yes", action="store_true", help="erase; this cannot be undone")


def _opt_out_at(engine: Engine, options: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        facts = opt_out_at(conn, options.person, options.time)
    if not facts:
        raise RefusedError(f"nothing is known of person {options.person} at {utc(options.time)}")
    print_table([("side", "what", "opted out", "since", "source", "detail"), *map(_row, facts)])


def _row(fact: Fact) -> tuple[str, ...]:
    what = fact.scope or " ".join(filter(None, (fact.object, fact.record_id, fact.field))) or "-"
    source = "-" if fact.source_id is None else f"{fact.source} {fact.source_id}"
    said = {True: "yes", False: "no", None: "not known"}[fact.is_opted_out]
    return (fact.side, what, said, utc(fact.since), source, fact.detail)


def _forget(engine: Engine, options: argparse.Namespace) -> None:
    if not options.yes:
        raise RefusedError(
            f"person {options.person} and all their acts would be erased for good: add --yes"
        )
    with transaction(engine) as conn:
        kept = erase_person(
            conn, options.person, by=options.by, note=options.note, now=datetime.now(UTC)
        )
    print(
        f"Erased person {options.person}. {counted(kept, 'opt-out')} stay as keyed hashes: "
        "whoever is imported with that address starts opted out."
    )
