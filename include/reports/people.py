"""Looking somebody up: an id, an address or a Salesforce Id leads to people; each look is noted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import pandas as pd
from sqlalchemy import Connection, text

from include.domain.ids import classify
from include.store.errors import database_errors


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
    """Tell what somebody typed; None: nothing of it, so nobody needs to be asked for."""
    return _understood(typed)[0]


@database_errors()
def look_up(
    conn: Connection, typed: str, *, by: str, reason: str, with_address: bool
) -> Found | None:
    """Find people, and note who looked, how, why and whom they found; None: `kind_of` is None.

    Args:
        conn: in a transaction that is committed: the note is part of it.
        typed: an id, an address, a Salesforce Id of 15 or 18 characters, or the address of its page
            in Salesforce. Never stored.
        by: who looks.
        reason: why; not blank.
        with_address: whether `by` may see addresses. Without it, an address still finds people.

    Raises:
        StoreRefusedError: the reason is blank.
    """
    wanted, value = _understood(typed)
    if wanted is None:
        return None
    values = {"wanted": wanted.value, "typed": value, "who": by, "why": reason}
    rows = conn.execute(text(LOOK_UP), values).mappings()
    found = [Candidate(**row) for row in rows]
    if not with_address:
        found = [replace(each, email=None) for each in found]
    return Found(wanted, found)


@database_errors()
def look_ups(conn: Connection, *, most: int = 100) -> list[LookUp]:
    """Return the newest look-ups, newest first."""
    rows = conn.execute(text(LOOK_UPS), {"most": most}).mappings()
    return [LookUp(**row) for row in rows]


def _understood(typed: str) -> tuple[Wanted | None, str]:
    """Return what was typed, and how the database is asked for it."""
    value = typed.strip()
    in_page = _PAGE.search(value)
    if in_page is not None:
        value = in_page[1]
    elif "@" in value:
        return (Wanted.ADDRESS, value) if _ADDRESS.fullmatch(value) else (None, value)
    record_id = classify(pd.Series([value], dtype="str"))["record_id"].iloc[0]
    if isinstance(record_id, str):  # before the number: an Id may have digits only
        return Wanted.SALESFORCE_ID, record_id
    is_id = value.isascii() and value.isdigit() and 0 < int(value) < _TOO_LARGE
    return (Wanted.ID, value) if is_id else (None, value)


_PAGE: Final = re.compile(r"^https?://[^?#]*/((?:003|00Q)(?:\w{12}|\w{15}))(?:[/?#]|$)", re.ASCII)
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_TOO_LARGE: Final = 2**63
LOOK_UP = """
SELECT person_id, email, salesforce_id, is_opted_out, opted_out_at, origin, erased_at
FROM opt_out_sync.look_up_people(:wanted, :typed, :who, :why)
"""
LOOK_UPS = """
SELECT id, looked_up_at AS at, looked_up_by AS by, wanted, reason, person_id
FROM opt_out_sync.look_up
ORDER BY id DESC
LIMIT :most
"""
