"""One person, whole: the story, the present on both sides, a time in the past, one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, text

from include.audit.past import Fact, opt_out_at
from include.store.database import transaction
from include.store.errors import database_errors
from include.sync import evidence
from include.sync.evidence import Resubscribe
from include.sync.explain import Event, explain


@dataclass(frozen=True, slots=True)
class Push:
    """Where the person stands in the outbox."""

    state: str
    waiting_since: datetime
    attempts: int
    next_attempt_at: datetime | None
    failure_class: str | None
    code: str | None
    fix: str | None

    @property
    def is_parked(self) -> bool:
        """Whether somebody has to mend something first: then it can be retried or closed."""
        return self.state == "parked"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Why no record of the person can be written."""

    code: str
    salesforce_id: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """Everything about one person.

    Attributes:
        person_id: who.
        sentence: why they are, or are not, opted out.
        is_gone: not in the store any more: deleted or erased.
        erased_at: when they were erased (UTC); None: they were not.
        events: oldest first, each with the table and the row that say so.
        now: what both sides say at present; the store first.
        then: what they said at `moment`; None: no moment was asked for.
        moment: see above.
        consents: their resubscribes, newest first, with what became of them.
        push: in the outbox; None: nothing waits.
        unreachable: why nothing can be written in Salesforce; None: something can.
        held_clears: how many clears wait for approval.
    """

    person_id: int
    sentence: str
    is_gone: bool
    erased_at: datetime | None
    events: Sequence[Event]
    now: Sequence[Fact]
    then: Sequence[Fact] | None
    moment: datetime | None
    consents: Sequence[Resubscribe]
    push: Push | None
    unreachable: Unreachable | None
    held_clears: int


@database_errors()
def story(
    engine: Engine, person_id: int, *, now: datetime, moment: datetime | None = None
) -> Story:
    """Tell everything about a person.

    Raises:
        UnknownPersonError: there is no such person, nor a trace of one.
    """
    told = explain(engine, person_id)
    with transaction(engine) as conn:
        values = {"person": person_id}
        push = conn.execute(text(PUSH), values).mappings().one_or_none()
        unreachable = conn.execute(text(UNREACHABLE), values).mappings().one_or_none()
        present = opt_out_at(conn, person_id, now)
        consents, _ = evidence.listed(conn, person_id=person_id, most=CONSENTS)
        return Story(
            person_id=person_id,
            sentence=told.sentence,
            is_gone=not any(fact.side == "store" for fact in present),
            erased_at=_erased_at(told.events),
            events=told.events,
            now=present,
            then=None if moment is None else opt_out_at(conn, person_id, moment),
            moment=moment,
            consents=consents,
            push=None if push is None else Push(**push),
            unreachable=None if unreachable is None else Unreachable(**unreachable),
            held_clears=conn.execute(text(HELD), values).scalar_one(),
        )


def _erased_at(events: Sequence[Event]) -> datetime | None:
    return next((event.at for event in reversed(events) if event.what == "erasure"), None)


CONSENTS: Final = 100
PUSH = """
SELECT state, marked_at AS waiting_since, attempts, next_attempt_at, failure_class, code, fix
FROM opt_out_sync.v_push_outbox WHERE person_id = :person
"""
UNREACHABLE = """
SELECT code, salesforce_id, since FROM opt_out_sync.unlinked_person WHERE person_id = :person
"""
HELD = """
SELECT count(*) FROM opt_out_sync.held_clear WHERE person_id = :person AND resolution IS NULL
"""
