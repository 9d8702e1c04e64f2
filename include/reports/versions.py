"""Settings as they were: who chose what, when and why, and what that changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection


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


def changes(conn: Connection, *, most: int = 200) -> list[Change]:
    """Return the saved versions, newest first."""
    raise NotImplementedError
