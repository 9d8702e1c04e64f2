"""Who would change if other settings were saved? Counts, the first people, and plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine
from upath import UPath

from include.audit.settings import FieldMode, Settings
from include.salesforce.client import SalesforceClient


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
        opted_out_in_store: people who would be opted out in the store; None: Salesforce was not
            asked, so nobody can tell.
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


def meaning_of(mode: FieldMode) -> str:
    """Say in two sentences what a field choice means for the people in the org."""
    raise NotImplementedError


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
    store and the links, and asks Salesforce for the rest if a client is given.

    Args:
        engine: the store.
        staging: where extracts are kept.
        after: the settings to try.
        client: Salesforce, to count who is opted out in a field that no night has read.
        most: people to name.

    Raises:
        LoginError, SalesforceUnavailableError: Salesforce was asked and does not answer.
    """
    raise NotImplementedError
