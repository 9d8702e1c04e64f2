"""Why is this person opted out? Everything that happened to them, and one sentence that sums it up.

Reads only, and asks Salesforce nothing: its side is told as of the last time both sides agreed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from include.audit import settings
from include.audit.settings import Settings
from include.domain.conflicts import (
    BOUNCE,
    BY_THE_PERSON,
    SYNC_ORIGIN,
    TUG_OF_WAR_AFTER,
    ConflictRule,
)
from include.store import people
from include.store.database import transaction
from include.store.errors import UnknownPersonError

COMPLAINT = "Complaint"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, and the row that says so.

    Attributes:
        at: when (UTC).
        what: `act`, `decision`, `write`, `judgement`, `release`, `push` or `erasure`.
        side: `store` or `salesforce`; None: both, or neither.
        code: why or how.
        detail: a sentence, without anything that a person typed.
        sync_run_id: of the run that did it; None: no run did.
        source: the table with the row.
        source_id: of the row.
    """

    at: datetime
    what: str
    side: str | None
    code: str
    detail: str
    sync_run_id: int | None
    source: str
    source_id: int


@dataclass(frozen=True, slots=True)
class OptOut:
    """An unsubscribe that stands. `other_person` caused it, if it came over a shared record."""

    act_id: int
    at: datetime
    scope: str
    origin: str
    caused_by: str | None
    other_person: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """A record of the person's, and what both sides last agreed on."""

    object: str
    record_id: str
    field: str
    base: bool | None
    base_since: datetime | None
    flips: int

    @property
    def name(self) -> str:
        """Field and record, as a person looks for them."""
        return f"{self.field} of {self.object} {self.record_id}"


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a person stands now.

    Attributes:
        person_id: who.
        opt_outs: in the synced scopes, oldest first.
        excluded: how many unsubscribes stand that the settings leave out.
        links: to living records.
        pending: the newest resubscribe that is not decided: its act and verdict.
        rule: who wins.
    """

    person_id: int
    opt_outs: Sequence[OptOut]
    excluded: int
    links: Sequence[Link]
    pending: tuple[int, str] | None
    rule: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The events of a person, oldest first, and the sentence."""

    events: Sequence[Event]
    sentence: str


def explain(engine: Engine, person_id: int) -> Explanation:
    """Tell everything that happened to a person, and sum it up.

    Raises:
        UnknownPersonError: there is no such person, nor a trace of one.
    """
    with transaction(engine) as conn:
        events = [
            Event(**row) for row in conn.execute(text(TIMELINE), {"person": person_id}).mappings()
        ]
        chosen = settings.current(conn).settings
        is_gone = bool(people.read_states(conn, [person_id])["is_opted_out"].isna().iloc[0])
        if is_gone and not events:
            raise UnknownPersonError(f"person {person_id} is not in the store")
        if is_gone:
            return Explanation(events, _gone(person_id, events))
        return Explanation(events, summarise(_situation(conn, person_id, chosen)))


def summarise(now: Situation) -> str:
    """Say in one sentence whether somebody is opted out: since when, why, where, until when."""
    if now.opt_outs:
        parts = [_since_and_why(now), _where(now.links), _what_ends_it(now), _pending(now)]
        return "; ".join(part for part in parts if part) + "."
    if any(link.base for link in now.links):
        return _only_in_salesforce(now)
    parts = [_not_opted_out(now), _pending(now)]
    return "; ".join(part for part in parts if part) + "."


def _situation(conn: Connection, person_id: int, chosen: Settings) -> Situation:
    values = {"person": person_id}
    standing = [OptOut(**row) for row in conn.execute(text(STANDING), values).mappings()]
    counting = [each for each in standing if _counts(each, chosen)]
    pending = conn.execute(text(PENDING), values).one_or_none()
    return Situation(
        person_id,
        counting,
        len(standing) - len(counting),
        [Link(**row) for row in conn.execute(text(LINKS), values).mappings()],
        (pending.act_id, pending.verdict) if pending else None,
        chosen.conflict_rule,
    )


def _counts(opt_out: OptOut, chosen: Settings) -> bool:
    return opt_out.scope in chosen.synced_scopes and (
        chosen.bounces_sync or opt_out.origin != BOUNCE
    )


def _since_and_why(now: Situation) -> str:
    first, *more = now.opt_outs
    why = _why(now.person_id, first)
    also = f" and {len(more)} more" if more else ""
    return f"Person {now.person_id} is opted out since {_utc(first.at)}, because of {why}{also}"


def _why(person_id: int, opt_out: OptOut) -> str:
    if opt_out.origin != SYNC_ORIGIN:
        return f"act {opt_out.act_id} (unsubscribe by {opt_out.origin}, scope {opt_out.scope})"
    if opt_out.other_person not in (None, person_id):
        return f"person {opt_out.other_person}, who opted out and shares the Salesforce record"
    cause = (opt_out.caused_by or "").split("@")[0]
    return f"an opt-out in Salesforce ({cause}, that time or before), carried over"


def _where(links: Sequence[Link]) -> str:
    if not links:
        return "it stands in the store alone, no Salesforce record is linked"
    agreed = [f"{link.name}, agreed {_utc(link.base_since)}" for link in links if link.base]
    behind = [_behind(link) for link in links if not link.base]
    if not agreed:
        return f"it stands in the store; in Salesforce not yet ({', '.join(behind)})"
    late = f", not yet in {', '.join(behind)}" if behind else ""
    return f"it stands in the store and in Salesforce ({', '.join(agreed)}){late}{_undone(links)}"


def _behind(link: Link) -> str:
    last = "never agreed" if link.base is None else f"last agreed otherwise {_utc(link.base_since)}"
    return f"{link.name}: {last}"


def _undone(links: Sequence[Link]) -> str:
    if any(link.flips >= TUG_OF_WAR_AFTER for link in links):
        return ", where it was undone so often that nothing is written before a release"
    return ""


def _what_ends_it(now: Situation) -> str:
    newest = _utc(max(each.at for each in now.opt_outs))
    origins = {each.origin for each in now.opt_outs}
    command = f"python -m include.cli resubscribe {now.person_id}"
    if COMPLAINT in origins:
        return f"only the person's own opt-in after {newest} ends it ({command} --by-person)"
    if origins == {SYNC_ORIGIN} and (others := _others(now)):
        return f"the documented consent of {others}, given after {newest}, ends it"
    evidence = f"a documented consent given after {newest} ends it ({command})"
    if now.rule == ConflictRule.CHANGED_SIDE.value and not origins & set(BY_THE_PERSON):
        return f"{evidence}, and so does clearing it on one side"
    return evidence


def _others(now: Situation) -> str:
    """Name whoever else has to consent, if nobody but they opted out."""
    found = {each.other_person for each in now.opt_outs}
    if None in found or now.person_id in found:
        return ""
    return " and ".join(f"person {each}" for each in sorted(filter(None, found)))


def _pending(now: Situation) -> str:
    if now.pending is None:
        return ""
    act_id, verdict = now.pending
    return f"resubscribe {act_id} is {'held for approval' if verdict == 'held' else verdict}"


def _only_in_salesforce(now: Situation) -> str:
    agreed = [f"{link.name}, agreed {_utc(link.base_since)}" for link in now.links if link.base]
    return (
        f"Person {now.person_id} is not opted out in the store, and was when both sides last "
        f"agreed ({', '.join(agreed)}): the next run clears Salesforce if accepted evidence says "
        "so, and opts the person out again otherwise."
    )


def _not_opted_out(now: Situation) -> str:
    excluded = f"{now.excluded} that the settings leave out" if now.excluded else "none at all"
    agreed = [
        f"{link.name}, agreed {_utc(link.base_since)}" for link in now.links if link.base_since
    ]
    salesforce = (
        f"and Salesforce agreed ({', '.join(agreed)})"
        if agreed
        else (
            "and nothing is known of Salesforce yet"
            if now.links
            else "and no Salesforce record is linked"
        )
    )
    return (
        f"Person {now.person_id} is not opted out: no unsubscribe that counts stands in the store "
        f"({excluded}), {salesforce}"
    )


def _gone(person_id: int, events: Sequence[Event]) -> str:
    erased = [event.at for event in events if event.what == "erasure"]
    what = f"was erased {_utc(erased[-1])}" if erased else "is gone from the store"
    return (
        f"Person {person_id} {what}: nothing is written for them any more, and an opt-out stays in "
        "Salesforce."
    )


def _utc(moment: datetime | None) -> str:
    return (
        "at an unknown time"
        if moment is None
        else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


TIMELINE = """
SELECT at, what, side, code, detail, sync_run_id, source, source_id
FROM opt_out_sync.v_person_timeline
WHERE person_id = :person
ORDER BY at,
         array_position(
             ARRAY['act', 'decision', 'judgement', 'write', 'release', 'push', 'erasure'], what),
         code, source_id
"""
STANDING = """
SELECT s.act_id, s.at, s.scope, s.origin, s.caused_by, cause.person_id AS other_person
FROM engagement.standing_opt_out AS s
LEFT JOIN engagement.unsubscribe AS cause
    ON cause.id = CAST(substring(s.caused_by FROM '^act:([0-9]+)$') AS bigint)
WHERE s.person_id = :person
ORDER BY s.at, s.act_id
"""
LINKS = """
SELECT object, record_id, field, base, base_since, flips
FROM opt_out_sync.link
WHERE person_id = :person AND state = 'active'
ORDER BY object, record_id, field
"""
PENDING = """
SELECT act_id, verdict FROM opt_out_sync.v_resubscribe
WHERE person_id = :person AND is_evidence AND verdict IN ('waiting', 'held')
ORDER BY act_id DESC LIMIT 1
"""
