"""The lines of the checklist that the store answers."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, text

from include.audit import settings
from include.audit.settings import Settings
from include.domain.errors import OptOutSyncError
from include.migrations.upgrade import VERSION_SCHEMA, VERSION_TABLE, head
from include.reports.attention import Urgency, attention
from include.reports.items import Item, State, sentence
from include.store.database import transaction
from include.store.errors import StoreRefusedError

STORE, PEOPLE, NIGHTS = "Store", "People", "Nights"


def store_items(engine: Engine, *, now: datetime) -> list[Item]:
    """Check the store: reachable, migrated, switched on, people linked, nights, pushes.

    What cannot be answered because an earlier line failed is left out.
    """
    try:
        with transaction(engine) as conn:
            migrated = _migrated(conn)
            if migrated.state is State.FAIL:
                return [_reachable(conn), migrated]
            chosen = settings.current(conn).settings
            return [
                _reachable(conn),
                migrated,
                _switched_on(chosen),
                _linked(conn),
                *_unlinked(conn),
                _last_night(conn, chosen, now),
                *_attention(conn, now),
            ]
    except StoreRefusedError as error:
        title = "The login may read what is checked"
        return [Item("STORE_RIGHTS", STORE, title, State.FAIL, sentence(error), _RIGHTS)]
    except OptOutSyncError as error:
        title = "The store can be reached"
        fix = "Check the Connection engagement_store: host, port, database, user and password."
        return [Item("STORE_REACHABLE", STORE, title, State.FAIL, sentence(error), fix)]


def _reachable(conn: Connection) -> Item:
    version = conn.execute(text("SHOW server_version")).scalar_one()
    detail = f"PostgreSQL {version} answers."
    return Item("STORE_REACHABLE", STORE, "The store can be reached", State.OK, detail)


def _migrated(conn: Connection) -> Item:
    title, needed, found = "The store is migrated", head(), _revision(conn)
    if found == needed:
        return Item("STORE_MIGRATED", STORE, title, State.OK, f"It is at revision {found}.")
    detail = f"It is at revision {found or 'none'}, this release needs {needed}."
    fix = "Run: python -m include.cli migrate"
    return Item("STORE_MIGRATED", STORE, title, State.FAIL, detail, fix)


def _revision(conn: Connection) -> str | None:
    is_there = conn.execute(text(IS_THERE), {"name": f"{VERSION_SCHEMA}.{VERSION_TABLE}"}).scalar()
    return conn.execute(text(REVISION)).scalar() if is_there else None


def _switched_on(chosen: Settings) -> Item:
    title = "The sync is switched on"
    if not chosen.enabled:
        fix = "Enable it on the page Settings, once everything here is green."
        detail = "It is disabled: nights do nothing, a push ticks the standard box only."
        return Item("SYNC_ON", STORE, title, State.WARN, detail, fix)
    if chosen.paused:
        detail = "It is paused: nothing is written anywhere."
        return Item("SYNC_ON", STORE, title, State.WARN, detail, "Resume it on the page Settings.")
    return Item("SYNC_ON", STORE, title, State.OK, "It is enabled and not paused.")


def _linked(conn: Connection) -> Item:
    row = conn.execute(text(LINKED)).one()
    title = "People have a Salesforce Id"
    if not row.people:
        detail = "There is nobody in the store."
        fix = "Import people with the Id of their Contact or Lead."
        return Item("PEOPLE_LINKED", PEOPLE, title, State.WARN, detail, fix)
    detail = f"{row.people - row.without:,} of {row.people:,} people have one."
    if not row.without:
        return Item("PEOPLE_LINKED", PEOPLE, title, State.OK, detail)
    return Item("PEOPLE_LINKED", PEOPLE, title, State.WARN, detail, _GIVE_AN_ID)


def _unlinked(conn: Connection) -> Iterator[Item]:
    rows = conn.execute(text(UNLINKED)).all()
    if rows:
        counted = ", ".join(f"{row.people:,} {row.code}" for row in rows)
        title = "Whoever opted out can be written to in Salesforce"
        detail = f"As of the last night not: {counted}. The page Unreachable people lists them."
        yield Item("PEOPLE_REACHABLE", PEOPLE, title, State.WARN, detail, _GIVE_AN_ID)


def _last_night(conn: Connection, chosen: Settings, now: datetime) -> Item:
    title = "A night has closed in the last 26 hours"
    closed_at: datetime | None = conn.execute(text(CLOSED)).scalar()
    if closed_at is None:
        detail = "No night has closed yet."
        fix = "Unpause the DAG unsubscribe_nightly_sync, or trigger it with plan_only."
        return Item("NIGHT_CLOSED", NIGHTS, title, State.UNKNOWN, detail, fix)
    detail = f"The last one closed at {closed_at:%Y-%m-%d %H:%M} UTC."
    if now - closed_at <= _A_NIGHT:
        return Item("NIGHT_CLOSED", NIGHTS, title, State.OK, detail)
    fix = "Look at the DAG unsubscribe_nightly_sync and at the scheduler."
    is_due = chosen.enabled and not chosen.paused
    state = State.FAIL if is_due else State.WARN
    return Item("NIGHT_CLOSED", NIGHTS, title, state, detail, fix)


def _attention(conn: Connection, now: datetime) -> Iterator[Item]:
    """Repeat what needs somebody and is not a line of its own."""
    for each in attention(conn, now=now):
        if each.kind in _ABOUT:
            state = State.FAIL if each.urgency is Urgency.NOW else State.WARN
            group, title = _ABOUT[each.kind]
            yield Item(each.kind.upper(), group, title, state, each.sentence)


_A_NIGHT: Final = timedelta(hours=26)
_RIGHTS: Final = (
    "Make the login of the Connection engagement_store a member of opt_out_sync_writer, "
    "opt_out_admin, opt_out_analyst and opt_out_support."
)
_GIVE_AN_ID: Final = (
    "Write the Id of the Contact or Lead (15 or 18 characters) into salesforce_id of the person."
)
_ABOUT: Final = {
    "failed": (NIGHTS, "The last night closed"),
    "red": (NIGHTS, "The last night left nothing to look at"),
    "slow": (NIGHTS, "The night that runs is quick"),
    "failures": (NIGHTS, "Nothing that failed is open"),
    "overdue": (NIGHTS, "Nothing is past 10 business days"),
    "parked": (NIGHTS, "Nobody waits for a push for more than a day"),
    "push_paused": (NIGHTS, "Pushes are made"),
    "brake": (NIGHTS, "No clear waits for a person"),
}
IS_THERE = "SELECT to_regclass(:name) IS NOT NULL"
REVISION = f"SELECT version_num FROM {VERSION_SCHEMA}.{VERSION_TABLE}"  # noqa: S608 - constants
LINKED = """
SELECT count(*) AS people, count(*) FILTER (WHERE coalesce(salesforce_id, '') = '') AS without
FROM engagement.person
"""
UNLINKED = """
SELECT code, count(*) AS people FROM opt_out_sync.unlinked_person GROUP BY code ORDER BY 2 DESC, 1
"""
CLOSED = """
SELECT max(closed_at) FROM opt_out_sync.sync_run WHERE kind = 'night' AND state = 'closed'
"""
