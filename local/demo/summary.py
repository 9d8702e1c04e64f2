"""The page a person reads when the night is over."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.demo.agreement import Agreement
from local.demo.config import Config
from local.demo.night import DAG_ID, Decided, Night

_RULE = "─" * 78
_COMMAND = ".venv/bin/python -m local.demo"

MEANINGS: Mapping[str, str] = {
    "UNSUBSCRIBED_IN_STORE": "the person said no since they last agreed",
    "OPTED_OUT_IN_SALESFORCE": "a colleague ticked the box since",
    "BOTH_OPTED_OUT": "both sides did, so nothing to write",
    "CLEARED_IN_SALESFORCE_ONLY": "a cleared box is no permission to mail",
    "CLEARED_IN_STORE_ONLY": "a lone clear is no permission to mail",
    "FIRST_SEEN_OPT_OUT": "compared for the first time, one side said no",
    "FIRST_SEEN_AGREED": "compared for the first time, and equal",
    "CARRIED_OVER_CONVERSION": "an opt-out survives the Lead's conversion",
    "CARRIED_OVER_MERGE": "an opt-out survives the merge of its record",
    "NOT_VISIBLE": "record unknown, or it lives on as another",
    "DELETED_IN_SALESFORCE": "the record was deleted",
    "NO_SALESFORCE_ID": "opted out, but there is no record to mark",
    "BAD_SALESFORCE_ID": "the Id is malformed: never sent",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a summary is about.

    Attributes:
        night: the run of the sync; None where it ended before the sync could open one.
        earlier: the last run before it that decided something, to be shown if this one did not.
        agreement: what a look at both sides found afterwards.
        failures: why tasks failed, in words.
        names: names of Salesforce records by Id.
    """

    night: Night | None
    earlier: Night | None
    agreement: Agreement
    failures: Sequence[str]
    names: Mapping[str, str]


def night_summary(told: Told) -> Iterator[str]:
    """Tell what the night decided; where it had nothing to decide, what the last one did."""
    yield _RULE
    yield from _headline(told)
    shown = told.night
    if shown is None or not shown.decided:
        shown = told.earlier
        if shown is None:
            return
        yield ""
        yield f"The last night with work was run {shown.id}:"
    yield ""
    yield from _table(shown)
    if shown.examples:
        yield ""
        yield "Some of them, in the sync's own words (every decision has such a sentence):"
        yield from _examples(shown, told.names)


def check_sentence(agreement: Agreement) -> str:
    """Say whether both sides agree."""
    if agreement.differing:
        some = ", ".join(map(str, agreement.differing[:5]))
        return (
            f"{len(agreement.differing)} of {agreement.compared:,} people differ from their "
            f"Salesforce record, for example {some}."
        )
    return (
        f"Checked without the sync: all {agreement.compared:,} people with a living record agree "
        f"with it, {agreement.opted_out} of them are opted out."
    )


def where_to_look(config: Config, store_url: str) -> Iterator[str]:
    """Tell where everything is, and that the demo did what an admin must do."""
    yield f"Airflow      {config.airflow_url}/dags/{DAG_ID}"
    yield f"Salesforce   {config.emulator_url}/__emulator__/records/Contact  (an emulator)"
    yield f"Logs         {config.logs}"
    yield "Database     for psql and for .venv/bin/python -m include.cli settings show:"
    yield f"             export OPT_OUT_SYNC_DATABASE_URL='{_for_psql(store_url)}'"
    yield ""
    yield "The sync is disabled by default; the demo enabled it, as an admin would."


def _for_psql(store_url: str) -> str:
    """SQLAlchemy names its driver in the scheme, PostgreSQL's own tools want none."""
    return store_url.replace("postgresql+psycopg2://", "postgresql://", 1)


def what_to_try(person_id: int, record_id: str) -> Iterator[str]:
    """Propose three things to do next, in another terminal."""
    yield "Three things to try, in a second terminal:"
    yield ""
    yield "1. Somebody clicks the unsubscribe link; the next night tells Salesforce:"
    yield f"     {_COMMAND} unsubscribe {person_id} && {_COMMAND} night"
    yield "2. A colleague ticks the box in Salesforce; the next night tells the store:"
    yield f"     {_COMMAND} tick {record_id} && {_COMMAND} night"
    yield "3. An admin hides the field on Lead; the night does the rest and is red, and says why:"
    yield f"     {_COMMAND} hide Lead && {_COMMAND} night"
    yield f"   (and back again: {_COMMAND} show Lead)"


def _headline(told: Told) -> Iterator[str]:
    for failure in told.failures:
        yield f"The night is red. {failure}"
    if told.night is not None:
        yield from _outcome(told.night, is_red=bool(told.failures))
    yield check_sentence(told.agreement)


def _outcome(night: Night, *, is_red: bool) -> Iterator[str]:
    if night.state != "closed":
        yield f"Run {night.id} is {night.state}: {night.reason or 'see its tasks in Airflow.'}"
    elif night.decided:
        to_store, to_salesforce = _people(night, _writes_store), _people(night, _writes_salesforce)
        yield (
            f"Run {night.id} took {night.seconds:.0f} s. Opt-outs written to the store: "
            f"{to_store}, to Salesforce: {to_salesforce}. None was taken back."
        )
    elif is_red:
        yield f"Run {night.id} found nothing to do in what it could read."
    else:
        yield f"Run {night.id} found nothing to do: both sides were in agreement."


def _people(night: Night, written: Callable[[Decided], bool]) -> int:
    return sum(row.people for row in night.decided if written(row))


def _table(night: Night) -> Iterator[str]:
    yield f"{'people':>6}  {'to':<11} {'code':<27} what happened"
    for row in night.decided:
        meaning = MEANINGS.get(row.code, "")
        yield f"{row.people:>6}  {_direction(row):<11} {row.code:<27} {meaning}"


def _direction(row: Decided) -> str:
    sides = [
        side
        for side, is_written in (
            ("store", _writes_store(row)),
            ("Salesforce", _writes_salesforce(row)),
        )
        if is_written
    ]
    return ", ".join(sides) or "-"


def _writes_store(row: Decided) -> bool:
    return row.target_store is not None


def _writes_salesforce(row: Decided) -> bool:
    return row.target_salesforce is not None


def _examples(night: Night, names: Mapping[str, str]) -> Iterator[str]:
    for example in night.examples:
        name = names.get(example.record_id, "unknown")
        yield f"  {name}: {example.object} {example.record_id}, person {example.person_id}"
        yield from textwrap.wrap(
            f"“{example.reason}”", 76, initial_indent="    ", subsequent_indent="     "
        )
