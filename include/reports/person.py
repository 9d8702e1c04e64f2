"""One person, whole: the story, the present on both sides, a time in the past, one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from include.audit.past import Fact
from include.sync.evidence import Resubscribe
from include.sync.explain import Event


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
        raise NotImplementedError


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


def story(
    engine: Engine, person_id: int, *, now: datetime, moment: datetime | None = None
) -> Story:
    """Tell everything about a person.

    Raises:
        UnknownPersonError: there is no such person, nor a trace of one.
    """
    raise NotImplementedError
