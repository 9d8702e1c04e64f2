"""The admin's choices: every save is a new version, and every run names the one it used."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from sqlalchemy import Connection, RowMapping, text

from include.domain.errors import PermanentSyncError
from include.domain.values import STANDARD_FIELD, STANDARD_LABEL
from include.store.errors import database_errors

Count = Annotated[int, Field(ge=0, le=1_000_000)]
LEAST_MONTHS: Final = 24  # the function audit_months_due knows it too
Fraction = Annotated[float, Field(ge=0, le=1)]


class FieldMode(StrEnum):
    """Which Salesforce checkbox carries the opt-out."""

    EMAIL_OPT_OUT = "email_opt_out"  # the standard one: no mail from anybody in the org
    SALES_OPT_OUT = "sales_opt_out"  # a custom one: no mail from sales
    BOTH = "both"  # two checkboxes, decided as one


class Settings(BaseModel, frozen=True, extra="forbid"):
    """What the sync may do and how. Off until an admin enables it.

    A value that is refused is explained in a plain sentence: what it must be, and what was given.
    """

    enabled: bool = False
    paused: bool = False
    field_mode: FieldMode = FieldMode.EMAIL_OPT_OUT
    sales_opt_out_field: Annotated[
        str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*__c$", max_length=80)
    ] = "Sales_Opt_Out__c"
    sales_opt_out_label: Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=40)] = (
        "Sales Opt Out"
    )
    """What people in Salesforce read beside the custom checkbox."""
    conflict_rule: Literal["opt_out_wins", "changed_side"] = "opt_out_wins"
    max_open_failures: Count = 0
    bulk_threshold: Annotated[int, Field(ge=1, le=10_000)] = 2000
    api_reserve: Count = 500
    synced_scopes: tuple[Literal["team", "sender"], ...] = ("team",)
    bounces_sync: bool = False
    clock_skew_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    """How far the clocks of the store and of Salesforce may be apart."""
    evidence_days: Annotated[int, Field(ge=1, le=90)] = 7
    """How long evidence may wait to be judged."""
    held_clears_minimum: Count = 5
    held_clears_fraction: Fraction = 0.001
    """More clears than the greater of the two (the fraction is of the links) wait for a person."""
    alert_writes_minimum: Count = 100
    alert_writes_fraction: Fraction = 0.05
    """More opt-outs than the greater of the two are told."""
    alert_drop_fraction: Fraction = 0.10
    """Told when an object has so many fewer opted-out records than after the night before."""
    alert_hidden_fraction: Fraction = 0.02
    """Told when so many of an object's links are newly not visible."""
    audit_keep_months: Annotated[int, Field(ge=0, le=1200)] = 0
    """Months of the audit that keep every row; 0: all. Older ones keep what proves something."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _plainly(
        cls, value: Any, check: ValidatorFunctionWrapHandler, about: ValidationInfo
    ) -> object:
        try:
            return check(value)
        except ValidationError as error:
            # Not chained: the sentence says it all, and the error repeats every value it was given.
            raise ValueError(_plain_sentence(str(about.field_name), error)) from None

    @field_validator("synced_scopes")
    @classmethod
    def _team_is_always_synced_and_each_once(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "team" not in scopes:  # what the sync itself records has this scope
            raise ValueError("must contain team: what the sync records has this scope")
        return tuple(dict.fromkeys(scopes))

    @field_validator("audit_keep_months")
    @classmethod
    def _evidence_is_not_kept_for_less(cls, months: int) -> int:
        if 0 < months < LEAST_MONTHS:
            raise ValueError(f"must be 0, which keeps everything, or {LEAST_MONTHS} or more months")
        return months

    @property
    def opt_out_fields(self) -> tuple[str, ...]:
        """API names of the checkboxes of the chosen mode, the standard one first."""
        chosen = {
            FieldMode.EMAIL_OPT_OUT: (STANDARD_FIELD,),
            FieldMode.SALES_OPT_OUT: (self.sales_opt_out_field,),
            FieldMode.BOTH: (STANDARD_FIELD, self.sales_opt_out_field),
        }
        return chosen[self.field_mode]

    @property
    def labels(self) -> dict[str, str]:
        """What people in Salesforce read beside each checkbox, by API name, of any mode."""
        return {STANDARD_FIELD: STANDARD_LABEL, self.sales_opt_out_field: self.sales_opt_out_label}


def _plain_sentence(name: str, error: ValidationError) -> str:
    """Say what a setting must be: pydantic's own words are for programmers."""
    first = error.errors(include_url=False)[0]
    if first["type"] in {"enum", "literal_error"}:
        return f"must be {first['ctx']['expected']}"
    if name in TEXTS and first["type"] in TEXTS[name]:
        return TEXTS[name][first["type"]]
    allowed = _range_of(name)
    return f"must be {allowed}" if allowed else first["msg"]


def _range_of(name: str) -> str | None:
    """Describe what a switch or a number may be, None for other settings."""
    setting = Settings.model_fields[name]
    if setting.annotation is bool:
        return "true or false"
    if setting.annotation not in (int, float):
        return None
    bounds = {end: getattr(m, end) for m in setting.metadata for end in ENDS if hasattr(m, end)}
    kind = "a whole number" if setting.annotation is int else "a fraction"
    return f"{kind} from {bounds['ge']} to {bounds['le']}"


ENDS: Final = ("ge", "le")
TEXTS: Final = {
    "sales_opt_out_field": {
        "string_pattern_mismatch": "must be the API name of a custom field, like Sales_Opt_Out__c: "
        "letters, digits and underscores, ending in __c",
        "string_too_long": "must be the API name of a custom field: it has at most 80 characters",
    },
    "sales_opt_out_label": {
        "string_pattern_mismatch": "must be the label of a field, like Sales Opt Out: one line",
        "string_too_long": "must be the label of a field: it has at most 40 characters",
    },
}


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


class UnreadableSettingsError(PermanentSyncError):
    """A version was saved by another release, which knew choices that this one does not."""


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
    try:
        chosen = Settings.model_validate(row["document"])
    except ValidationError as error:
        names = ", ".join(sorted({str(part["loc"][0]) for part in error.errors()}))
        raise UnreadableSettingsError(
            f"settings version {row['version']} was saved by another release, this one does not "
            f"understand {names}: install the release that saved it, or a newer one"
        ) from None
    return SettingsVersion(
        version=row["version"],
        saved_at=row["saved_at"],
        saved_by=row["saved_by"],
        note=row["note"],
        settings=chosen,
    )


COLUMNS = "version, saved_at, saved_by, note, document"
SELECT = f"SELECT {COLUMNS} FROM opt_out_sync.settings_version"  # noqa: S608 - constants
INSERT = f"""
INSERT INTO opt_out_sync.settings_version (saved_at, saved_by, note, document)
VALUES (:saved_at, :saved_by, :note, CAST(:document AS jsonb))
RETURNING {COLUMNS}
"""  # noqa: S608
