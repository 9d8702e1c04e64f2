"""What was true of a person at a moment, on both sides, each with the row that says so."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from include.store.errors import database_errors


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that one side said at the moment.

    Attributes:
        side: `store` or `salesforce`.
        object: Contact or Lead; None for the store.
        record_id: of the record; None for the store.
        field: the box; None for the store.
        is_opted_out: what it said; None: not known.
        since: since when at least (UTC).
        scope: of an act, else None.
        source: the table with the row that says so.
        source_id: of that row; None where no row was needed.
        sync_run_id: the run that told, None for an act.
        detail: origin, code or outcome, without anything that a person typed.
    """

    side: str
    object: str | None
    record_id: str | None
    field: str | None
    is_opted_out: bool | None
    since: datetime | None
    scope: str | None
    source: str
    source_id: int | None
    sync_run_id: int | None
    detail: str


@database_errors()
def opt_out_at(conn: Connection, person_id: int, moment: datetime) -> list[Fact]:
    """Return what both sides said of a person at a moment; the store first.

    Nothing for a person who is not in the store, and nothing of Salesforce before the first run.
    """
    values = {"person_id": person_id, "moment": moment}
    rows = conn.execute(text(OPT_OUT_AT), values).mappings()
    return [Fact(**row) for row in rows]


OPT_OUT_AT = """
SELECT side, object, record_id, field, is_opted_out, since, scope, source, source_id, sync_run_id,
       detail
FROM opt_out_sync.opt_out_at(:person_id, :moment)
"""
