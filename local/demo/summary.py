"""The page a person reads when the night is over."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.demo.agreement import Agreement
from local.demo.config import Config
from local.demo.night import DAG_ID, Decided, Night, ToTry

_RULE = "─" * 78
_COMMAND = ".venv/bin/python -m local.demo"
_CLI = ".venv/bin/python -m include.cli"

MEANINGS: Mapping[str, str] = {
    "AGREED": "nothing changed, or nothing that matters",
    "UNSUBSCRIBED_IN_STORE": "the person said no since they last agreed",
    "OPTED_OUT_IN_SALESFORCE": "a colleague ticked the box since",
    "BOTH_OPTED_OUT": "both sides did, so nothing to write",
    "CLEARED_IN_SALESFORCE_ONLY": "a cleared box is no permission to mail",
    "CLEARED_IN_STORE_ONLY": "a lone clear is no permission to mail",
    "BOTH_CLEARED": "both sides took the opt-out back",
    "FIRST_SEEN_OPT_OUT": "compared for the first time, one side said no",
    "FIRST_SEEN_AGREED": "compared for the first time, and equal",
    "RESUBSCRIBED": "their consent is newer than every opt-out",
    "RESUBSCRIBE_WAITING": "accepted, but not everything could be read",
    "FOLLOWS_GROUP": "another record or field of theirs says no",
    "SHARED_RECORD": "another person on the same record said no",
    "TUG_OF_WAR": "Salesforce undoes it nightly: left alone",
    "PUSHED_WHILE_DISABLED": "the night is off: only the standard box",
    "UNREADABLE_FIELD": "the field is hidden: nothing is assumed",
    "CARRIED_OVER_CONVERSION": "converted: link and opt-out go along",
    "CARRIED_OVER_MERGE": "merged: link and opt-out go along",
    "RELINKED": "another Id: the former opt-out goes along",
    "NOT_VISIBLE": "the record is unknown to this org",
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
    if shown.judged:
        yield ""
        yield "May these people be mailed again? Each consent is judged against every opt-out:"
        yield from _judged(shown)
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
    yield f"Pages        {config.airflow_url}/plugin/opt-out-sync"
    yield f"Airflow      {config.airflow_url}/dags/{DAG_ID}"
    yield f"Org setup    {config.airflow_url}/dags/salesforce_opt_out_setup  (plans first)"
    yield f"Salesforce   {config.emulator_url}/__emulator__/records/Contact  (an emulator)"
    yield f"Logs         {config.logs}"
    yield "Database     for psql, and for the commands of the sync (python -m include.cli):"
    yield f"             export OPT_OUT_SYNC_DATABASE_URL='{_for_psql(store_url)}'"
    yield ""
    yield "The sync is disabled until an admin enables it, and Salesforce is only planned until an"
    yield "admin confirms the org. The demo did both, as an admin would."


def _for_psql(store_url: str) -> str:
    """SQLAlchemy names its driver in the scheme, PostgreSQL's own tools want none."""
    return store_url.replace("postgresql+psycopg2://", "postgresql://", 1)


def what_to_try(chosen: ToTry, config: Config) -> Iterator[str]:
    """Propose what to do next, in another terminal."""
    yield "Six things to try, in a second terminal:"
    yield ""
    yield "1. Somebody clicks the unsubscribe link; how long until Salesforce knows?"
    yield f"     {_COMMAND} unsubscribe {chosen.unsubscribes}"
    yield "2. A colleague ticks the box in Salesforce; the next night tells the store:"
    yield f"     {_COMMAND} tick {chosen.ticked} && {_COMMAND} night"
    yield "3. An admin hides the field on Lead; the night does the rest and is red, and says why:"
    yield f"     {_COMMAND} hide Lead && {_COMMAND} night"
    yield f"   (and back again: {_COMMAND} show Lead)"
    yield ""
    yield "With OPT_OUT_SYNC_DATABASE_URL exported as above:"
    yield ""
    yield f"4. What happened to person {chosen.explained}, and are they opted out?"
    yield f"     {_CLI} explain {chosen.explained}"
    yield f"5. Person {chosen.resubscribes} asks for mails again; a push judges it and clears both:"
    yield from _consent(chosen.resubscribes, "CASE-1")
    yield "6. Many clears wait for a person. Let none pass, and the next is asked about in Airflow"
    yield f"   ({config.airflow_url}/required_actions); the night is red until it is answered:"
    yield f"     {_CLI} settings set --held-minimum 0 --held-fraction 0 \\"
    yield "       --by Ada --note careful"
    yield from _consent(chosen.held, f"CASE-2 && {_COMMAND} night")


def _consent(person_id: int, reference: str) -> Iterator[str]:
    yield f'     {_CLI} resubscribe {person_id} --reason "asked by phone" \\'
    yield f"       --actor Ada --reference {reference}"


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
        to_store, to_salesforce = _people(night, _to_store), _people(night, _to_salesforce)
        yield (
            f"Run {night.id} took {night.seconds:.0f} s. Opt-outs written to the store: "
            f"{to_store}, to Salesforce: {to_salesforce}."
        )
        yield _cleared(night)
    elif is_red:
        yield f"Run {night.id} found nothing to do in what it could read."
    else:
        yield f"Run {night.id} found nothing to do: both sides were in agreement."


def _cleared(night: Night) -> str:
    store, salesforce = _people(night, _clears_store), _people(night, _clears_salesforce)
    if not store and not salesforce:
        return "No opt-out was taken back."
    return f"Opt-outs taken back in the store: {store}, in Salesforce: {salesforce}."


def _people(night: Night, written: Callable[[Decided], bool]) -> int:
    return sum(row.people for row in night.decided if written(row) and not row.is_held)


def _table(night: Night) -> Iterator[str]:
    directions = [_direction(row) for row in night.decided]
    width = max(map(len, [*directions, "Salesforce"]))
    yield f"{'people':>6}  {'to':<{width}}  {'code':<26}  what happened"
    for row, direction in zip(night.decided, directions, strict=True):
        meaning = MEANINGS.get(row.code, "")
        yield f"{row.people:>6}  {direction:<{width}}  {row.code:<26}  {meaning}"


def _direction(row: Decided) -> str:
    """Name the sides that are written; a clear is a direction of its own."""
    targets = {row.target_store, row.target_salesforce} - {None}
    if not targets:
        return "-"
    sides = "store" if row.target_salesforce is None else "Salesforce"
    if None not in (row.target_store, row.target_salesforce):
        sides = "both"
    what = f"clear {sides}" if targets == {False} else sides
    return f"{what} (held)" if row.is_held else what


def _to_store(row: Decided) -> bool:
    return row.target_store is True


def _to_salesforce(row: Decided) -> bool:
    return row.target_salesforce is True


def _clears_store(row: Decided) -> bool:
    return row.target_store is False


def _clears_salesforce(row: Decided) -> bool:
    return row.target_salesforce is False


def _judged(night: Night) -> Iterator[str]:
    people: dict[tuple[str, str], list[int]] = {}
    for judged in night.judged:
        people.setdefault((judged.code, judged.reason), []).append(judged.person_id)
    for (code, reason), ids in people.items():
        yield from _quoted(f"{code}: person {', '.join(map(str, ids))}", reason)


def _examples(night: Night, names: Mapping[str, str]) -> Iterator[str]:
    for example in night.examples:
        name = names.get(example.record_id, "unknown")
        title = f"{name}: {example.object} {example.record_id}, person {example.person_id}"
        yield from _quoted(title, example.reason)


def _quoted(title: str, sentence: str) -> Iterator[str]:
    yield f"  {title}"
    yield from textwrap.wrap(f"“{sentence}”", 76, initial_indent="    ", subsequent_indent="     ")
