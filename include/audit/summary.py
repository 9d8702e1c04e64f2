"""A run in a few lines: what was decided, in which direction, and what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

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
    rows = conn.execute(sql_file(HERE, "night_summary"), {"run_id": run_id}).mappings()
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


def night_sentence(conn: Connection, run_id: int) -> str:
    """Say in one sentence what a run decided, wrote and could not write."""
    rows = night_summary(conn, run_id)
    to_store = _links(row for row in rows if row.side is Side.STORE)
    to_salesforce = _links(row for row in rows if row.side is Side.SALESFORCE)
    failed = _links(row for row in rows if row.outcome is Outcome.FAILED)
    return (
        f"{to_store:,} opt-outs to the store, {to_salesforce:,} to Salesforce, "
        f"{failed:,} of them failed; {_links(rows):,} decisions in all."
    )


def _links(rows: Iterable[SummaryRow]) -> int:
    return sum(row.links for row in rows)
