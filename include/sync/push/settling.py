"""What becomes of each person in the outbox once a push has looked at them. Pure.

Whatever happened to a record concerns everybody who shares it: the worst of it decides.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import pandas as pd

from include.domain.conflicts import Code, Verdict
from include.domain.ids import IdProblem
from include.domain.values import FailureClass, Outcome, Side
from include.sync.push import patience

PUSHED: Final = "PUSHED"
NOT_SYNCED: Final = "NOT_SYNCED"
"""Nothing of this person is for Salesforce: another scope, a bounce, or nothing that stands."""

NOT_READ: Final = "NOT_READ"
_MOMENT: Final = timedelta(seconds=1)
_LOOKED_FOR: Final = 6
"""Times to look for a record that Salesforce does not return: it may just have been created."""

_UNREADABLE_FIX: Final = (
    "Install the opt-out field, or give the integration user read and edit access to it "
    "(field-level security of a permission set)."
)
_NOT_VISIBLE_FIX: Final = (
    "Salesforce does not return the record: give the integration user View All on the object, or "
    "correct the person's Id in the store."
)
_NOT_READ_FIX: Final = "Not everything of this person could be read: the next attempt judges."
_FINAL: Final = frozenset({*(each.value for each in IdProblem), Code.DELETED_IN_SALESFORCE.value})


class Failure(NamedTuple):
    """Why something did not work."""

    failure_class: FailureClass
    code: str
    fix: str


class Settled(NamedTuple):
    """A row of `outbox.settle`."""

    person_id: int
    version: int
    state: str
    next_attempt_at: datetime
    failure_class: str | None = None
    code: str | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What a push found and did.

    Attributes:
        labels: by person, what names their group: its record, or the person.
        codes: by person, why they were decided as they were.
        unlinked: by person, why no record can be written.
        unreadable: whose opt-out field cannot be read.
        unjudged: whose consent could not be judged yet.
        deferred: whom another push is looking at, or whose group it is.
        not_synced: of whom nothing concerns Salesforce.
        failures: by group, the worst that happened.
        superseded: groups whose plan was not true any more when it was carried out.
        held: groups whose clears wait for a person, and why.
        pushed: groups that were written in Salesforce.
    """

    labels: Mapping[int, str]
    codes: Mapping[int, str] = field(default_factory=dict)
    unlinked: Mapping[int, str] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()
    unjudged: frozenset[int] = frozenset()
    deferred: frozenset[int] = frozenset()
    not_synced: frozenset[int] = frozenset()
    failures: Mapping[str, Failure] = field(default_factory=dict)
    superseded: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    pushed: frozenset[str] = frozenset()


def settle(
    claimed: pd.DataFrame,
    looked: Looked,
    *,
    now: datetime,
    not_before: datetime | None,
    spread: Callable[[], float],
) -> list[Settled]:
    """Say what becomes of claimed people.

    Args:
        claimed: as `outbox.claim` returns them.
        looked: what was found and done.
        now: when.
        not_before: nothing is tried before; None: no pause was declared.
        spread: a number from 0 to 1, by chance.

    Returns:
        A row per claimed person.
    """
    people = zip(claimed["person_id"], claimed["version"], claimed["attempts"], strict=True)
    rule = _Rule(looked, now, not_before, spread)
    return [
        rule.of(int(person), int(version), int(attempts)) for person, version, attempts in people
    ]


@dataclass(frozen=True, slots=True)
class _Rule:
    looked: Looked
    now: datetime
    not_before: datetime | None
    spread: Callable[[], float]

    def of(self, person: int, version: int, attempts: int) -> Settled:
        """Decide one person."""
        label = self.looked.labels.get(person, "")
        if person in self.looked.deferred or label in self.looked.superseded:
            return Settled(person, version, "waiting", self.now + _MOMENT * self.spread())
        failure = self._failure(person, label, attempts)
        if failure is None:
            return Settled(person, version, "closed", self.now, code=self._code(person, label))
        return self._failed(person, version, attempts, failure)

    def _failed(self, person: int, version: int, attempts: int, failure: Failure) -> Settled:
        kind = failure.failure_class
        due = self.now + patience.delay(kind, attempts, self.spread())
        if self.not_before is not None and not patience.is_parked(kind):
            due = max(due, self.not_before)
        state = "parked" if patience.is_parked(kind) else "waiting"
        return Settled(person, version, state, due, kind.value, failure.code, failure.fix)

    def _failure(self, person: int, label: str, attempts: int) -> Failure | None:
        looked = self.looked
        if label in looked.failures:
            return _stubborn(looked.failures[label], attempts)
        if person in looked.unreadable:
            code = Code.UNREADABLE_FIELD.value
            return Failure(FailureClass.PERMISSION, code, _UNREADABLE_FIX)
        if person in looked.unjudged:
            return Failure(FailureClass.RETRY, NOT_READ, _NOT_READ_FIX)
        missing = looked.unlinked.get(person)
        if missing is None or missing in _FINAL or attempts >= _LOOKED_FOR:
            return None
        return Failure(FailureClass.GONE, missing, _NOT_VISIBLE_FIX)

    def _code(self, person: int, label: str) -> str:
        looked = self.looked
        if person in looked.not_synced:
            return NOT_SYNCED
        if person in looked.unlinked:
            return looked.unlinked[person]
        if label in looked.held:
            return looked.held[label]
        if label in looked.pushed:
            return PUSHED
        return looked.codes.get(person, Code.AGREED.value)


def _stubborn(failure: Failure, attempts: int) -> Failure:
    """A record that is there to read and "gone" to write, time after time, is a permission."""
    if failure.failure_class is FailureClass.GONE and attempts >= _LOOKED_FOR:
        return failure._replace(failure_class=FailureClass.PERMISSION)
    return failure


def failures_of(outcomes: pd.DataFrame, labels: Mapping[int, str]) -> dict[str, Failure]:
    """Return by group the worst failed write.

    Args:
        outcomes: one row per write: `person_id`, `outcome`, `failure_class`, `code`, `fix`.
        labels: by person, what names their group.
    """
    worst: dict[str, Failure] = {}
    failed = outcomes[outcomes["outcome"] == Outcome.FAILED.value]
    rows = zip(
        failed["person_id"], failed["failure_class"], failed["code"], failed["fix"], strict=True
    )
    for person, kind, code, fix in rows:
        failure = Failure(FailureClass(kind), code, fix)
        label = labels[int(person)]
        if label not in worst or _rank(failure) < _rank(worst[label]):
            worst[label] = failure
    return worst


def groups_with(
    outcomes: pd.DataFrame, labels: Mapping[int, str], outcome: Outcome, side: Side | None = None
) -> frozenset[str]:
    """Return the groups in which a write ended in some way, on one side or on any."""
    wanted = outcomes["outcome"] == outcome.value
    if side is not None:
        wanted &= outcomes["side"] == side.value
    return frozenset(labels[int(each)] for each in outcomes.loc[wanted, "person_id"])


def unjudged_of(judged: pd.DataFrame) -> frozenset[int]:
    """Return whose consent has to wait."""
    return frozenset(_people(judged[judged["verdict"] == Verdict.WAITING.value]))


def by_person(frame: pd.DataFrame, column: str) -> dict[int, str]:
    """Return the last value of a column by person."""
    return dict(zip(_people(frame), frame[column].astype(str), strict=True))


def _people(frame: pd.DataFrame) -> Iterable[int]:
    return [int(each) for each in frame["person_id"]]


_WORST_FIRST: Final = (
    FailureClass.PERMISSION,
    FailureClass.VALIDATION,
    FailureClass.GONE,
    FailureClass.CHANGED,
    FailureClass.RETRY,
)


def _rank(failure: Failure) -> int:
    return _WORST_FIRST.index(failure.failure_class)
