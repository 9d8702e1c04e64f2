"""Which Salesforce org may be written: the first night of an org is only a plan."""

from datetime import datetime

from sqlalchemy import Connection, text

from include.store.errors import database_errors


@database_errors()
def is_confirmed(conn: Connection, org_id: str) -> bool:
    """Tell whether somebody has looked at the plan of an org's first night and agreed."""
    return conn.execute(text(CONFIRMED), {"org_id": org_id}).scalar() is not None


@database_errors()
def confirm(conn: Connection, org_id: str, *, by: str, note: str, now: datetime) -> bool:
    """Let Salesforce be written from now on; returns whether it was not confirmed before.

    Repeating the call changes nothing: the first confirmation is kept.
    """
    values = {"org_id": org_id, "by": by, "note": note, "now": now}
    return conn.execute(text(CONFIRM), values).rowcount == 1


@database_errors()
def known(conn: Connection) -> list[str]:
    """Return the orgs that runs have seen, confirmed or not."""
    return list(conn.execute(text(KNOWN)).scalars())


CONFIRMED = "SELECT 1 FROM opt_out_sync.org_confirmation WHERE org_id = :org_id"
CONFIRM = """
INSERT INTO opt_out_sync.org_confirmation (org_id, confirmed_at, confirmed_by, note)
VALUES (:org_id, :now, :by, :note)
ON CONFLICT (org_id) DO NOTHING
"""
KNOWN = """
SELECT org_id FROM opt_out_sync.sync_run WHERE org_id IS NOT NULL
UNION SELECT org_id FROM opt_out_sync.org_confirmation
ORDER BY 1
"""
