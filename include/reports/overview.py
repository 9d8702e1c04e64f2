"""The first page: is everything all right, and if not, what first?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from include.audit import settings
from include.audit.planner import without_compiling
from include.audit.settings import SettingsVersion
from include.reports.attention import Attention, Urgency, attention
from include.reports.nights import Night, last_nights, next_night
from include.reports.pushes import PushHealth, push_health
from include.store.database import transaction
from include.store.errors import database_errors
from include.store.people import ONE_INSTANT

__all__ = ["Attention", "Overview", "Urgency", "attention", "overview"]


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
        people: in the store, as the last night read it; None: no night has.
        opted_out: of them, in the synced scopes.
    """

    now: datetime
    is_on: bool
    settings: SettingsVersion
    next_night: datetime
    nights: Sequence[Night]
    push: PushHealth
    attention: Sequence[Attention]
    people: int | None
    opted_out: int | None


@database_errors()
def overview(engine: Engine, *, now: datetime, nights: int = 30) -> Overview:
    """Gather the first page at one instant.

    Raises:
        TransientSyncError, PermanentSyncError: see `include.store.errors`.
    """
    with transaction(engine) as conn, _at_one_instant(conn):
        saved = settings.current(conn)
        seen = conn.execute(text(LAST_SEEN)).one_or_none()
        return Overview(
            now=now,
            is_on=saved.settings.enabled and not saved.settings.paused,
            settings=saved,
            next_night=next_night(now),
            nights=last_nights(conn, now=now, most=nights),
            push=push_health(conn, now=now),
            attention=attention(conn, now=now),
            people=None if seen is None else seen.people,
            opted_out=None if seen is None else seen.opted_out,
        )


@contextmanager
def _at_one_instant(conn: Connection) -> Iterator[None]:
    conn.execute(text(ONE_INSTANT))
    with without_compiling(conn):
        yield


LAST_SEEN = """
SELECT (s.counts ->> 'people')::bigint AS people, (s.counts ->> 'opted_out')::bigint AS opted_out
FROM opt_out_sync.sync_run AS r
JOIN opt_out_sync.sync_step AS s ON s.sync_run_id = r.id AND s.step = 'extract_store'
WHERE r.kind = 'night' AND s.finished_at IS NOT NULL
ORDER BY r.id DESC
LIMIT 1
"""
