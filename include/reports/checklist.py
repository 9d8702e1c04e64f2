"""Preflight as a checklist: every requirement, whether it is met, and how to meet it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from include.reports.items import Item, State
from include.reports.salesforce_checks import CONNECTION, salesforce_items
from include.reports.store_checks import store_items
from include.salesforce.administration import SalesforceAdministration
from include.salesforce.client import SalesforceClient

__all__ = ["Checklist", "Item", "State", "checklist"]


@dataclass(frozen=True, slots=True)
class Checklist:
    """All requirements, grouped."""

    checked_at: datetime
    items: Sequence[Item]

    @property
    def worst(self) -> State:
        """The worst state of all items; UNKNOWN is worse than WARN."""
        return max((each.state for each in self.items), key=_ORDER.index, default=State.OK)


def checklist(
    engine: Engine,
    client: SalesforceClient | None,
    *,
    now: datetime,
    administration: SalesforceAdministration | None = None,
) -> Checklist:
    """Check everything now. Never raises for what it checks: a broken thing is a red line.

    Args:
        engine: the store.
        client: Salesforce; None: its lines are UNKNOWN.
        now: the wall clock.
        administration: Salesforce as somebody who may see its setup (page layouts, what is
            tracked); None: those lines are UNKNOWN.
    """
    items = store_items(engine, now=now)
    if any(each.state is State.FAIL for each in items[:2]):
        return Checklist(now, [*items, _unasked("the store comes first: it holds the settings")])
    if client is None:
        return Checklist(now, [*items, _unasked("there is no Connection salesforce")])
    return Checklist(now, [*items, *salesforce_items(engine, client, administration, now=now)])


def _unasked(why: str) -> Item:
    detail = f"Salesforce was not asked: {why}."
    return Item("SALESFORCE_LOGIN", CONNECTION, "Salesforce can be reached", State.UNKNOWN, detail)


_ORDER: Final = [State.OK, State.WARN, State.UNKNOWN, State.FAIL]
