"""Held clears: what waits for a person's approval, and where the question is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from include.audit import questions
from include.store.database import sql_file
from include.store.errors import database_errors
from include.sync.held_clears import obstacle

HERE: Final = Path(__file__).parent
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


@database_errors()
def waiting(conn: Connection, *, most: int = 100) -> Waiting:
    """Return what waits for approval, oldest first."""
    total = conn.execute(text(TOTAL)).one()
    codes = conn.execute(sql_file(HERE, "held_codes")).all()
    return Waiting(
        clears=total.clears,
        people=total.people,
        codes={each.code: each.clears for each in codes},
        since=total.since,
        runs=[HeldBy(**row) for row in conn.execute(text(BY_RUN)).mappings()],
        first=[
            HeldClear(**row)
            for row in conn.execute(sql_file(HERE, "held_first"), {"most": most}).mappings()
        ],
        obstacle=_obstacle(conn) if total.clears else None,
    )


def _obstacle(conn: Connection) -> str | None:
    org = questions.waiting_org(conn)
    return None if org is None else obstacle(conn, org)


TOTAL = """
SELECT count(*) AS clears, count(DISTINCT person_id) AS people, min(held_at) AS since
FROM opt_out_sync.held_clear WHERE resolution IS NULL
"""
BY_RUN = """
SELECT h.held_run_id AS sync_run_id, r.kind, r.night, r.airflow_run_id, count(*) AS clears,
       count(DISTINCT h.person_id) AS people, min(h.held_at) AS since
FROM opt_out_sync.held_clear AS h
JOIN opt_out_sync.sync_run AS r ON r.id = h.held_run_id
WHERE h.resolution IS NULL
GROUP BY h.held_run_id, r.kind, r.night, r.airflow_run_id
ORDER BY h.held_run_id
"""
