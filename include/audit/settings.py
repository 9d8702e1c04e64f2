"""The admin's choices: every save is a new version, and every run names the one it used."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator
from sqlalchemy import Connection, RowMapping, text

from include.domain.errors import PermanentSyncError
from include.store.errors import database_errors

STANDARD_FIELD = "HasOptedOutOfEmail"


class FieldMode(StrEnum):
    """Which Salesforce checkbox carries the opt-out."""

    EMAIL_OPT_OUT = "email_opt_out"  # the standard one: no mail from anybody in the org
    SALES_OPT_OUT = "sales_opt_out"  # a custom one: no mail from sales


class Settings(BaseModel, frozen=True, extra="forbid"):
    """What the sync may do and how. Off until an admin enables it."""

    enabled: bool = False
    paused: bool = False
    field_mode: FieldMode = FieldMode.EMAIL_OPT_OUT
    sales_opt_out_field: Annotated[
        str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*__c$", max_length=80)
    ] = "Sales_Opt_Out__c"
    conflict_rule: Literal["opt_out_wins"] = "opt_out_wins"
    max_open_failures: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    bulk_threshold: Annotated[int, Field(ge=1, le=10_000)] = 2000
    api_reserve: Annotated[int, Field(ge=0, le=1_000_000)] = 500
    synced_scopes: tuple[Literal["team", "sender"], ...] = ("team",)
    bounces_sync: bool = False

    @field_validator("synced_scopes")
    @classmethod
    def _team_is_always_synced_and_each_once(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "team" not in scopes:  # what the sync itself records has this scope
            raise ValueError("synced_scopes must contain team")
        return tuple(dict.fromkeys(scopes))

    @property
    def opt_out_field(self) -> str:
        """API name of the checkbox of the chosen mode."""
        if self.field_mode is FieldMode.EMAIL_OPT_OUT:
            return STANDARD_FIELD
        return self.sales_opt_out_field


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """One saved version: who chose what, when and why."""

    version: int
    saved_at: datetime
    saved_by: str
    note: str
    settings: Settings


class UnknownSettingsVersionError(PermanentSyncError):
    """No such version was ever saved."""


@database_errors()
def current(conn: Connection) -> SettingsVersion:
    """Return the newest version; a migrated database has at least the defaults."""
    rows = conn.execute(text(f"{SELECT} ORDER BY version DESC LIMIT 1")).mappings()
    return _from_row(rows.one())


@database_errors()
def locked_current(conn: Connection) -> SettingsVersion:
    """Return the newest version, and let nobody save another until the transaction ends.

    Read by this what `save` is to change: a version that is being saved is waited for.
    """
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('opt_out_sync.settings'))"))
    # A second statement on purpose: it must see what was committed while the lock was waited for.
    return current(conn)


@database_errors()
def load(conn: Connection, version: int) -> SettingsVersion:
    """Return one version.

    Raises:
        UnknownSettingsVersionError: it was never saved.
    """
    rows = conn.execute(text(f"{SELECT} WHERE version = :version"), {"version": version})
    row = rows.mappings().one_or_none()
    if row is None:
        raise UnknownSettingsVersionError(f"settings version {version} does not exist")
    return _from_row(row)


@database_errors()
def save(
    conn: Connection, settings: Settings, *, saved_by: str, note: str, now: datetime
) -> SettingsVersion:
    """Add a version; saving what is already current adds nothing and returns that."""
    newest = locked_current(conn)
    if newest.settings == settings:
        return newest
    values = {
        "saved_at": now,
        "saved_by": saved_by,
        "note": note,
        "document": settings.model_dump_json(),
    }
    return _from_row(conn.execute(text(INSERT), values).mappings().one())


@database_errors()
def history(conn: Connection) -> list[SettingsVersion]:
    """Return every version, newest first."""
    rows = conn.execute(text(f"{SELECT} ORDER BY version DESC")).mappings()
    return [_from_row(row) for row in rows]


def _from_row(row: RowMapping) -> SettingsVersion:
    return SettingsVersion(
        version=row["version"],
        saved_at=row["saved_at"],
        saved_by=row["saved_by"],
        note=row["note"],
        settings=Settings.model_validate(row["document"]),
    )


COLUMNS = "version, saved_at, saved_by, note, document"
SELECT = f"SELECT {COLUMNS} FROM opt_out_sync.settings_version"  # noqa: S608 - constants
INSERT = f"""
INSERT INTO opt_out_sync.settings_version (saved_at, saved_by, note, document)
VALUES (:saved_at, :saved_by, :note, CAST(:document AS jsonb))
RETURNING {COLUMNS}
"""  # noqa: S608
