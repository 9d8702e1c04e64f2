"""A run in a few lines: what was decided, in which direction, and what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from include.audit.planner import for_many_rows
from include.domain.values import Outcome, Side
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """How many links share a code, a direction and an outcome."""

    code: str
    side: Side | None  # where something is to be written; None: nowhere
    target: bool | None
    outcome: Outcome | None  # None: nothing to write, or not written yet
    links: int


@database_errors()
def night_summary(conn: Connection, run_id: int) -> list[SummaryRow]:
    """Count the decisions of a run by code, side written to, target and newest outcome.

    A decision to write both sides counts once on each.
    """
    with for_many_rows(conn):
        rows = conn.execute(sql_file(HERE, "night_summary"), {"run_id": run_id}).mappings().all()
    return [
        SummaryRow(
            code=row["code"],
            side=Side(row["side"]) if row["side"] else None,
            target=row["target"],
            outcome=Outcome(row["outcome"]) if row["outcome"] else None,
            links=row["links"],
        )
        for row in rows
    ]


@database_errors()
def night_sentence(conn: Connection, run_id: int) -> str:
    """Say in one sentence what a run decided, wrote, holds back and could not write."""
    rows = night_summary(conn, run_id)
    decided: int = conn.execute(text(DECIDED), {"run_id": run_id}).scalar_one()
    to_store = _links(rows, side=Side.STORE, target=True)
    to_salesforce = _links(rows, side=Side.SALESFORCE, target=True)
    return (
        f"{to_store:,} opt-outs to the store, {to_salesforce:,} to Salesforce, "
        f"{_clears(rows)}{_links(rows, outcome=Outcome.FAILED):,} of them failed; "
        f"{decided:,} decisions in all."
    )


def _clears(rows: Iterable[SummaryRow]) -> str:
    """Tell of clears where there are any: most nights have none."""
    store = _links(rows, side=Side.STORE, target=False)
    salesforce = _links(rows, side=Side.SALESFORCE, target=False)
    if not store and not salesforce:
        return ""
    held = _links(rows, outcome=Outcome.HELD)
    return f"{store:,} clears to the store, {salesforce:,} to Salesforce ({held:,} of them held), "


def _links(rows: Iterable[SummaryRow], **wanted: Side | Outcome | bool) -> int:
    """Count the links of the rows that have all these values."""
    return sum(
        row.links
        for row in rows
        if all(getattr(row, name) == value for name, value in wanted.items())
    )


DECIDED = "SELECT count(*) FROM opt_out_sync.merge_audit WHERE sync_run_id = :run_id"
