"""`org`: until an org is confirmed, what it would get in Salesforce is only planned."""

import argparse
from datetime import UTC, datetime

from sqlalchemy import Engine

from include.audit import orgs as audit
from include.audit.summary import night_sentence
from include.cli.arguments import Commands, RefusedError, add_author, text
from include.cli.printing import print_table, utc
from include.store.database import transaction
from include.sync import orgs
from include.sync.orgs import Org

SHORT_ID = 15  # a Salesforce Id without its checksum


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("org", help="show or confirm the Salesforce org")
    actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
    show = actions.add_parser("show", help="the orgs that runs have seen")
    show.set_defaults(command=_show)
    confirm = actions.add_parser("confirm", help="let Salesforce be written from now on")
    confirm.set_defaults(command=_confirm)
    confirm.add_argument("org", type=text, metavar="ORG", help="Id of the org")
    add_author(confirm)


def _show(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        found = orgs.listed(conn)
        sentences = [night_sentence(conn, org.run_id) if org.run_id else "-" for org in found]
    if not found:
        print("No run has seen an org yet.")
        return
    print_table([("org", "confirmed", "by", "note"), *map(_row, found)])
    for org, sentence in zip(found, sentences, strict=True):
        if org.run_id:
            print(f"\nNewest run of {org.org_id}: {org.run_id} ({org.run_state}). {sentence}")
        if org.confirmed_at is None:
            print(f"Salesforce is only planned. Confirm: {_command(org.org_id)}")


def _confirm(engine: Engine, options: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        org_id = _known(audit.known(conn), options.org)
        is_new = audit.confirm(
            conn, org_id, by=options.by, note=options.note, now=datetime.now(UTC)
        )
    if is_new:
        print(f"Org {org_id} is confirmed: the next run writes to Salesforce.")
    else:
        print(f"Nothing to do: org {org_id} was confirmed before, and stays so.")


def _known(known: list[str], given: str) -> str:
    """Return the org that was meant: nobody confirms one whose plan does not exist."""
    for org_id in known:
        if given in (org_id, org_id[:SHORT_ID]):
            return org_id
    seen = ", ".join(known) or "none so far"
    raise RefusedError(
        f"no run has seen that org (seen: {seen}): let a night plan it first, then read the plan"
    )


def _row(org: Org) -> tuple[str, ...]:
    return (org.org_id, utc(org.confirmed_at), org.confirmed_by or "-", org.note or "-")


def _command(org_id: str) -> str:
    return f"python -m include.cli org confirm {org_id} --by NAME --note WHY"
