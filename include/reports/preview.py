"""Who would change if other settings were saved? Counts, the first people, and plain words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, text
from upath import UPath

from include.audit import settings
from include.audit.planner import for_many_rows
from include.audit.settings import Settings
from include.domain.values import SalesforceObject
from include.reports.meanings import meaning_of, meanings
from include.salesforce.client import SalesforceClient
from include.store.database import sql_file, transaction
from include.sync.nightly.inputs import choices_of
from include.sync.preflight import Access
from include.sync.simulate import CannotSimulateError, open_night, simulate

__all__ = ["Preview", "WouldChange", "meaning_of", "preview"]


@dataclass(frozen=True, slots=True)
class WouldChange:
    """One person of whom something would be decided otherwise.

    Attributes:
        person_id: who.
        object: of the record.
        record_id: of the record.
        field: the box.
        before: what the present settings lead to, in plain words.
        after: what the others would lead to.
    """

    person_id: int
    object: str | None
    record_id: str | None
    field: str | None
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What saving would lead to.

    Attributes:
        before: the settings that are current.
        after: the settings that would be saved.
        meaning: what each choice that differs means, in plain sentences.
        people: who would be decided otherwise, each once; None: nobody can tell (see `basis`).
        opted_out_in_salesforce: records in which a box would be ticked.
        opted_out_in_store: people who would be opted out in the store, or at most so many (see
            `basis`); None: nobody can tell.
        cleared: opt-outs that would be ended, on either side.
        first: the first of them.
        basis: what this was worked out from, in one sentence: a night's extract, or what is known.
        night: whose extract; None: there was none that has the field.
    """

    before: Settings
    after: Settings
    meaning: Sequence[str]
    people: int | None
    opted_out_in_salesforce: int
    opted_out_in_store: int | None
    cleared: int
    first: Sequence[WouldChange]
    basis: str
    night: date | None


def preview(
    engine: Engine,
    staging: UPath,
    after: Settings,
    *,
    client: SalesforceClient | None = None,
    most: int = 50,
) -> Preview:
    """Work out who would change, without writing anything.

    Merges the newest night's kept extract again where it has the field. Otherwise counts from the
    store and the links, and asks Salesforce how many boxes are ticked if a client is given.

    Args:
        engine: the store.
        staging: where extracts are kept.
        after: the settings to try.
        client: Salesforce, to count who is opted out in a field that no night has read.
        most: people to name.

    Raises:
        LoginError, SalesforceUnavailableError: Salesforce was asked and does not answer.
    """
    with transaction(engine) as conn:
        before = settings.current(conn).settings
        night: int | None = conn.execute(text(NEWEST_NIGHT)).scalar()
    is_same = choices_of(before, _ANY_ACCESS) == choices_of(after, _ANY_ACCESS)
    if is_same and before.field_mode is after.field_mode:
        return _nothing(before, after)
    if night is not None:
        try:
            return _of_extract(engine, staging, night, before, after, most)
        except CannotSimulateError:
            pass  # the extract has another field, or is gone: what is known has to do
    return _of_links(engine, before, after, client, most)


def _nothing(before: Settings, after: Settings) -> Preview:
    basis = "Nothing of this decides who is opted out."
    return Preview(before, after, meanings(before, after), 0, 0, 0, 0, (), basis, None)


def _of_extract(
    engine: Engine, staging: UPath, night: int, before: Settings, after: Settings, most: int
) -> Preview:
    """Merge what a night read by the settings of today, and by those to be tried."""
    run = open_night(engine, night)
    today = replace(run, settings=replace(run.settings, settings=before))
    rows = simulate(engine, staging, today, after).differences
    says = rows["after"].astype("str")
    store = says.str.contains("store := opted out", regex=False)
    return Preview(
        before=before,
        after=after,
        meaning=meanings(before, after),
        people=int(rows["person_id"].nunique()),
        opted_out_in_salesforce=int(says.str.contains(_TICKED, regex=False).sum()),
        opted_out_in_store=int(rows.loc[store, "person_id"].nunique()),
        cleared=int(says.str.contains(":= not opted out", regex=False).sum()),
        first=[_would_change(row) for row in rows.head(most).itertuples(index=False)],
        basis=f"Worked out from what the night of {run.night} read.",
        night=run.night,
    )


def _would_change(row: Any) -> WouldChange:
    """Make one row; what is missing in a frame is not None."""
    place = [value if isinstance(value, str) else None for value in row[1:4]]
    record_id, obj, field = place
    return WouldChange(int(row.person_id), obj, record_id, field, row.before, row.after)


def _of_links(
    engine: Engine,
    before: Settings,
    after: Settings,
    client: SalesforceClient | None,
    most: int,
) -> Preview:
    """Count from the store: whoever is opted out there, and not known to be so in the field."""
    ticked = None if client is None else _ticked(client, after)
    values = {
        "scopes": list(after.synced_scopes),
        "with_bounces": after.bounces_sync,
        "fields": list(after.opt_out_fields),
        "most": most,
    }
    with transaction(engine) as conn, for_many_rows(conn):
        rows = conn.execute(sql_file(HERE, "would_tick"), values).all()
    return Preview(
        before=before,
        after=after,
        meaning=meanings(before, after),
        people=None,
        opted_out_in_salesforce=rows[0].boxes if rows else 0,
        opted_out_in_store=ticked,
        cleared=0,
        first=[
            WouldChange(row.person_id, row.object, row.record_id, row.field, "-", _TICKED)
            for row in rows
        ],
        basis=_NO_NIGHT if ticked is None else _ASKED,
        night=None,
    )


def _ticked(client: SalesforceClient, after: Settings) -> int:
    """Count the records in which a box is ticked, of what can be read."""
    return sum(
        client.count_opted_out(obj, field)
        for field in after.opt_out_fields
        for obj in SalesforceObject
        if client.field_access(obj, field).readable
    )


HERE: Final = Path(__file__).parent
_ANY_ACCESS: Final = Access(fields={}, person_accounts=False)  # the same for both
_TICKED: Final = "Salesforce := opted out"
_NO_NIGHT: Final = (
    "No night has read this field yet: counted is who is opted out in the store and not known to "
    "be so in the field. Whom the field would opt out in the store, nobody can tell before a night "
    "plans it."
)
_ASKED: Final = (
    "No night has read this field yet: counted is who is opted out in the store and not known to "
    "be so in the field, and the records in which the box is ticked now; the people of these would "
    "be opted out in the store unless they are already."
)
NEWEST_NIGHT = """
SELECT id FROM opt_out_sync.sync_run
WHERE kind = 'night' AND state IN ('closed', 'planned')
ORDER BY id DESC LIMIT 1
"""
