"""Held clears: what waits for a person's approval, and where the question is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection

DAG_ID: Final = "unsubscribe_held_clears"
"""The DAG that asks."""
TASK_ID: Final = "ask"
"""Its task that waits for the answer."""


@dataclass(frozen=True, slots=True)
class HeldClear:
    """One clear that waits."""

    id: int
    person_id: int
    object: str | None
    record_id: str | None
    field: str | None
    evidence_id: int | None
    code: str | None
    held_at: datetime
    held_run_id: int


@dataclass(frozen=True, slots=True)
class HeldBy:
    """The clears of one run that wait: what one question is about.

    Attributes:
        sync_run_id: that held them.
        kind: of that run: `night`, `push`, ...
        night: its date.
        airflow_run_id: of that run.
        clears: how many.
        people: of whom.
        since: the oldest of them (UTC).
    """

    sync_run_id: int
    kind: str
    night: date | None
    airflow_run_id: str
    clears: int
    people: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits.

    Attributes:
        clears: how many in all.
        people: of whom.
        codes: clears by the code of their decision.
        since: the oldest (UTC); None: nothing waits.
        runs: by the run that held them, oldest first.
        first: the oldest clears.
        obstacle: why nobody is asked at the moment; None: the question is, or will be, asked.
    """

    clears: int
    people: int
    codes: Mapping[str, int]
    since: datetime | None
    runs: Sequence[HeldBy]
    first: Sequence[HeldClear]
    obstacle: str | None


def waiting(conn: Connection, *, most: int = 100) -> Waiting:
    """Return what waits for approval, oldest first."""
    raise NotImplementedError
