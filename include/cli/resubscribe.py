"""`resubscribe` and `resubscriptions`: record that a person may be mailed again, and follow it."""

import argparse
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from include.cli.arguments import (
    Commands,
    WrongInputError,
    identifier,
    moment,
    text,
    whole_number,
)
from include.cli.printing import counted, print_table, utc
from include.domain.conflicts import Verdict
from include.store.database import transaction
from include.sync import evidence
from include.sync.evidence import Consent, Resubscribe

_PROOF = {
    "reason": "why the person may be mailed again",
    "actor": "who records it",
    "reference": "where the consent is documented",
}


def add_to(commands: Commands) -> None:
    """Add the commands."""
    _add_resubscribe(
        commands.add_parser("resubscribe", help="record that a person may be mailed again")
    )
    listed = commands.add_parser(
        "resubscriptions", help="what became of consents, and when to try again"
    )
    listed.set_defaults(command=_list)
    listed.add_argument("--person", type=identifier, metavar="N", help="only this person's")
    listed.add_argument(
        "--most", type=whole_number, default=100, metavar="N", help="how many (default: 100)"
    )


def _add_resubscribe(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_resubscribe)
    parser.add_argument("person", type=identifier, metavar="PERSON", help="id of the person")
    for name, meaning in _PROOF.items():
        parser.add_argument(f"--{name}", required=True, type=text, metavar="TEXT", help=meaning)
    parser.add_argument("--approver", type=text, metavar="NAME", help="who approved it")
    parser.add_argument(
        "--by-person",
        action="store_true",
        help="the person opted in themselves; only that ends a complaint",
    )
    parser.add_argument(
        "--occurred-at", type=moment, metavar="ISO", help="when they consented (default: now)"
    )
    parser.add_argument(
        "--wait",
        type=whole_number,
        default=20,
        metavar="N",
        help="seconds to wait for the judgement (default: 20; 0: do not wait)",
    )
    parser.add_argument(
        "--key", type=text, metavar="TEXT", help="names this consent (default: its content does)"
    )


def _resubscribe(engine: Engine, options: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    if options.occurred_at and options.occurred_at > now:
        raise WrongInputError(
            f"--occurred-at: {utc(options.occurred_at)} is in the future, it is {utc(now)}"
        )
    consent = Consent(
        person_id=options.person,
        reason=options.reason,
        actor=options.actor,
        reference=options.reference,
        approver=options.approver,
        by_person=options.by_person,
        occurred_at=options.occurred_at,
        key=options.key,
    )
    recorded = evidence.record(engine, consent, now=now)
    done = "Recorded as" if recorded.is_new else "Nothing new: this consent is"
    print(f"{done} act {recorded.act_id} of person {options.person}. {recorded.next_step}")
    follow = f"python -m include.cli resubscriptions --person {options.person}"
    if recorded.is_judged_soon and options.wait > 0:
        print(_judgement(engine, recorded.act_id, timedelta(seconds=options.wait)))
    print(f"Follow it with: {follow}")


def _judgement(engine: Engine, act_id: int, longest: timedelta) -> str:
    """Wait for the judgement, and say it in one sentence."""
    judged = evidence.wait_for_judgement(engine, act_id, longest=longest)
    if judged is None:
        return (
            f"Nothing has judged it within {counted(longest.seconds, 'second')}: is DAG "
            "unsubscribe_push switched on? The next night judges it, too."
        )
    if judged.verdict == Verdict.WAITING.value:
        return f"It cannot be judged yet ({judged.code}): {judged.reason}"
    again = "" if judged.retry_after is None else f" Try again after {utc(judged.retry_after)}."
    return f"Judged {judged.verdict} ({judged.code}): {judged.reason}{again}"


def _list(engine: Engine, options: argparse.Namespace) -> None:
    if options.most < 1:
        raise WrongInputError("--most: must be a whole number from 1 on")
    with transaction(engine) as conn:
        found, total = evidence.listed(conn, person_id=options.person, most=options.most)
    if not found:
        whose = f" of person {options.person}" if options.person else ""
        print(f"No resubscribe{whose} is recorded.")
        return
    heading = ("act", "person", "consented at", "verdict", "code", "try again after", "reason")
    print_table([heading, *map(_row, found)])
    if total > len(found):
        print(f"The newest {len(found)} of {counted(total, 'resubscribe')}: --most shows more.")


def _row(found: Resubscribe) -> tuple[str, ...]:
    return (
        str(found.act_id),
        str(found.person_id),
        utc(found.at),
        found.verdict,
        found.code or "-",
        utc(found.retry_after),
        found.reason,
    )
