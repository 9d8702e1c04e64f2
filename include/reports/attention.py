"""What needs somebody now: what alerts tell, and what is quieter than an alert."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from include.audit import alerts, pauses, settings
from include.audit.alerts import Alert
from include.store.database import sql_file
from include.store.errors import database_errors

HERE: Final = Path(__file__).parent


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


@database_errors()
def attention(conn: Connection, *, now: datetime) -> list[Attention]:
    """Return what needs somebody, most urgent and oldest first; empty: nothing."""
    found = [
        *(_told(conn, alert) for alert in alerts.due(conn, now)),
        *_switches(conn),
        *_pause(conn, now),
        *_counted(conn, now),
    ]
    return sorted(found, key=lambda each: (_ORDER[each.urgency], each.since or now, each.kind))


def _told(conn: Connection, alert: Alert) -> Attention:
    urgency, page = _ALERTS[alert.kind]
    about = None
    if page == "nights" and "/" in alert.key:  # night/RUN or slow/RUN
        run = {"run_id": int(alert.key.partition("/")[2])}
        about = conn.execute(text(AIRFLOW_RUN), run).scalar()
    return Attention(alert.kind, urgency, alert.since, None, alert.sentence, page, about)


def _switches(conn: Connection) -> Iterator[Attention]:
    saved = settings.current(conn)
    if not saved.settings.enabled:
        yield Attention(
            "disabled",
            Urgency.NOTE,
            saved.saved_at,
            None,
            "The nightly sync is disabled: a push still ticks the standard box, nothing else is "
            "written. Enable it in the settings.",
            "settings",
        )
    elif saved.settings.paused:
        yield Attention(
            "paused",
            Urgency.NOW,
            saved.saved_at,
            None,
            "The sync is paused: nothing is written anywhere, and unsubscribes wait. Resume it in "
            "the settings.",
            "settings",
        )


def _pause(conn: Connection, now: datetime) -> Iterator[Attention]:
    pause = pauses.current(conn)
    if pause is not None and pause.until > now:
        yield Attention(
            "push_paused",
            Urgency.NOW,
            pause.since,
            None,
            f"No push is made: {pause.reason}",
            "failures",
        )


def _counted(conn: Connection, now: datetime) -> Iterator[Attention]:
    for row in conn.execute(sql_file(HERE, "attention"), {"now": now}).mappings():
        if row["count"]:
            yield _of_count(row)


def _of_count(row: RowMapping) -> Attention:
    urgency, page, sentence = _COUNTED[row["kind"]]
    return Attention(
        row["kind"],
        urgency,
        row["since"],
        row["count"],
        sentence.format(count=f"{row['count']:,}"),
        page,
    )


AIRFLOW_RUN = "SELECT airflow_run_id FROM opt_out_sync.sync_run WHERE id = :run_id"
_ORDER: Final = {urgency: place for place, urgency in enumerate(Urgency)}
_ALERTS: Final = {
    "absence": (Urgency.NOW, "nights"),
    "failed": (Urgency.NOW, "nights"),
    "red": (Urgency.NOW, "nights"),
    "slow": (Urgency.SOON, "nights"),
    "parked": (Urgency.NOW, "failures"),
    "brake": (Urgency.SOON, "held"),
}
_COUNTED: Final = {
    "overdue": (
        Urgency.NOW,
        "failures",
        "Opt-outs that are past 10 business days and not in both systems: {count}. Mend these "
        "first.",
    ),
    "failures": (
        Urgency.SOON,
        "failures",
        "Writes that failed and that nothing has mended: {count}. Each is listed with its fix.",
    ),
    "unconfirmed": (
        Urgency.NOW,
        "preflight",
        "Salesforce orgs that nobody has confirmed: {count}. Nights only plan there: look at the "
        "plan, then run python -m include.cli org confirm.",
    ),
    "unreachable": (
        Urgency.NOTE,
        "unreachable",
        "Opted-out people without a Salesforce record that could be written to: {count}. The store "
        "keeps them opted out.",
    ),
    "missed": (
        Urgency.SOON,
        "nights",
        "Nights of the last 30 days that nothing has made up for yet: {count}. The next night "
        "compares everybody.",
    ),
}
