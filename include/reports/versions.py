"""Settings as they were: who chose what, when and why, and what that changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from include.audit import settings
from include.audit.settings import Settings
from include.store.errors import database_errors


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that changed, both values as a person writes them."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One saved version. The first one has no differences: it is the defaults."""

    version: int
    saved_at: datetime
    saved_by: str
    note: str
    differences: Sequence[Difference]
    nights: int  # that ran by it


@database_errors()
def changes(conn: Connection, *, most: int = 200) -> list[Change]:
    """Return the saved versions, newest first.

    Raises:
        UnreadableSettingsError: a version was saved by another release.
    """
    versions = settings.history(conn)
    nights = {row.settings_version: row.nights for row in conn.execute(text(NIGHTS))}
    older = [each.settings for each in versions[1:]]
    before = [*older, versions[-1].settings]
    return [
        Change(
            version.version,
            version.saved_at,
            version.saved_by,
            version.note,
            differences(earlier, version.settings),
            nights.get(version.version, 0),
        )
        for version, earlier in zip(versions[:most], before[:most], strict=True)
    ]


def differences(before: Settings, after: Settings) -> list[Difference]:
    """Return what is not the same, in the order of the settings."""
    was = dict(before)
    return [
        Difference(name, readable(was[name]), readable(value))
        for name, value in after
        if was[name] != value
    ]


def readable(value: object) -> str:
    """Return a setting as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


NIGHTS = """
SELECT settings_version, count(*) AS nights FROM opt_out_sync.sync_run
WHERE kind = 'night' AND state <> 'skipped'
GROUP BY settings_version
"""
