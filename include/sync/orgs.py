"""The orgs that runs have seen: which may be written, and what the latest run made of each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from include.store.errors import database_errors


@dataclass(frozen=True, slots=True)
class Org:
    """An org, who confirmed it and when (None: nobody yet), and its newest run."""

    org_id: str
    confirmed_at: datetime | None
    confirmed_by: str | None
    note: str | None
    run_id: int | None
    run_state: str | None


@database_errors()
def listed(conn: Connection) -> list[Org]:
    """Return every org that a run has seen or a person has confirmed."""
    return [Org(**row) for row in conn.execute(text(LISTED)).mappings()]


LISTED = """
SELECT coalesce(run.org_id, sure.org_id) AS org_id, sure.confirmed_at, sure.confirmed_by, sure.note,
       run.id AS run_id, run.state AS run_state
FROM (
    SELECT DISTINCT ON (org_id) org_id, id, state
    FROM opt_out_sync.sync_run
    WHERE org_id IS NOT NULL
    ORDER BY org_id, id DESC
) AS run
FULL JOIN opt_out_sync.org_confirmation AS sure ON sure.org_id = run.org_id
ORDER BY 1
"""
