"""Preflight as a checklist: every requirement, whether it is met, and how to meet it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine

from include.salesforce.client import SalesforceClient


class State(StrEnum):
    """Whether a requirement is met."""

    OK = "ok"
    WARN = "warn"  # the sync works, and somebody should look
    FAIL = "fail"  # something does not work before it is mended
    UNKNOWN = "unknown"  # nobody could tell: `detail` says why


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement.

    Attributes:
        code: stable, like `FIELD_WRITABLE.Lead.HasOptedOutOfEmail`.
        group: `Store`, `Connection`, `Field`, `People` or `Nights`.
        title: what is required.
        state: whether it is met.
        detail: what was found.
        fix: what to do, with the exact path in Salesforce's Setup or the command; empty: nothing.
    """

    code: str
    group: str
    title: str
    state: State
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """All requirements, in the order in which they are worth mending."""

    checked_at: datetime
    items: Sequence[Item]

    @property
    def worst(self) -> State:
        """The worst state of all items; UNKNOWN is worse than WARN."""
        raise NotImplementedError


def checklist(engine: Engine, client: SalesforceClient | None, *, now: datetime) -> Checklist:
    """Check everything now. Never raises for what it checks: a broken thing is a red line.

    Args:
        engine: the store.
        client: Salesforce; None: its items are UNKNOWN.
        now: the wall clock.
    """
    raise NotImplementedError
