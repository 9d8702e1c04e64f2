"""The first page: is everything all right, and if not, what first?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine

from include.audit.settings import SettingsVersion
from include.reports.nights import Night
from include.reports.pushes import PushHealth


class Urgency(StrEnum):
    """How soon somebody should look."""

    NOW = "now"
    SOON = "soon"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs somebody.

    Attributes:
        kind: short and stable: `failed`, `red`, `slow`, `absence`, `parked`, `brake` (as alerts),
            `disabled`, `paused`, `push_paused`, `failures`, `overdue`, `unconfirmed`,
            `unreachable`, `missed`.
        urgency: how soon.
        since: when it began (UTC); None: not known.
        count: people, clears or nights it is about; None: nothing is counted.
        sentence: what, and what to do. No person, no address.
        page: which page shows more: `nights`, `failures`, `held`, `settings`, `compliance`,
            `unreachable`, `preflight`.
        airflow_run_id: of a night; None: none is meant.
    """

    kind: str
    urgency: Urgency
    since: datetime | None
    count: int | None
    sentence: str
    page: str
    airflow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the first page shows.

    Attributes:
        now: when it was read (UTC).
        is_on: whether the nightly sync is enabled and not paused.
        settings: the current version.
        next_night: when it is due (UTC), whether the sync is on or not.
        nights: the last ones, oldest first; empty before the first.
        push: latency and backlog.
        attention: most urgent first; empty: nothing to do.
        people: in the store.
        opted_out: of them.
    """

    now: datetime
    is_on: bool
    settings: SettingsVersion
    next_night: datetime
    nights: Sequence[Night]
    push: PushHealth
    attention: Sequence[Attention]
    people: int
    opted_out: int


def overview(engine: Engine, *, now: datetime, nights: int = 30) -> Overview:
    """Gather the first page at one instant.

    Raises:
        TransientSyncError, PermanentSyncError: see `include.store.errors`.
    """
    raise NotImplementedError


def attention(conn: Connection, *, now: datetime) -> list[Attention]:
    """Return what needs somebody, most urgent and oldest first; empty: nothing."""
    raise NotImplementedError
