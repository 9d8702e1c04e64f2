"""Looking somebody up: an id, an address or a Salesforce Id leads to people; each look is noted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection


class Wanted(StrEnum):
    """What somebody typed."""

    ID = "id"
    ADDRESS = "address"
    SALESFORCE_ID = "salesforce_id"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who fits.

    Attributes:
        person_id: in the store.
        email: only for those who may see addresses; None: they may not, or the person is gone.
        salesforce_id: as the store has it.
        is_opted_out: in the store, team scope; None: the person is gone.
        opted_out_at: since when (UTC).
        origin: of the act that says so.
        erased_at: when they were erased (UTC); None: they were not.
    """

    person_id: int
    email: str | None
    salesforce_id: str | None
    is_opted_out: bool | None
    opted_out_at: datetime | None
    origin: str | None
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up led to. Nobody, one, or those who share an address or a record."""

    wanted: Wanted
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class LookUp:
    """A note of a look-up: who looked for whom, how and why. Never what was typed."""

    id: int
    at: datetime
    by: str
    wanted: str | None
    reason: str
    person_id: int | None


def kind_of(typed: str) -> Wanted | None:
    """Tell what somebody typed; None: it is nothing of it, so nobody needs to be asked for."""
    raise NotImplementedError


def look_up(
    conn: Connection, typed: str, *, by: str, reason: str, with_address: bool
) -> Found | None:
    """Find people, and note who looked, how, why and whom they found; None: `kind_of` is None.

    Args:
        conn: in a transaction that is committed: the note is part of it.
        typed: id, address, or Salesforce Id of 15 or 18 characters. Never stored.
        by: who looks.
        reason: why; not blank.
        with_address: whether `by` may see addresses. Without it, an address still finds people.

    Raises:
        StoreRefusedError: the reason is blank.
    """
    raise NotImplementedError


def look_ups(conn: Connection, *, most: int = 100) -> list[LookUp]:
    """Return the newest look-ups, newest first."""
    raise NotImplementedError
