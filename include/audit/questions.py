"""What a person is asked about held clears, and what follows from having no answer."""

from datetime import datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Connection, text

from include.audit.runs import Run, guard
from include.store.bulk import fetch_frame
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent
EVIDENCE_DTYPES = {"act_id": "int64", "person_id": "int64"}


@database_errors()
def waiting_org(conn: Connection) -> str | None:
    """Return the org whose clears wait for a person; None if nothing waits.

    A database belongs to one org, so Salesforce need not be asked which.
    """
    org_id: str | None = conn.execute(text(WAITING_ORG)).scalar()
    return org_id


@database_errors()
def held_evidence(conn: Connection, org_id: str) -> pd.DataFrame:
    """Read the consent that waits with the open held clears of an org.

    Returns:
        One row per resubscribe whose newest judgement is `held`: `act_id`, `person_id` int64.
    """
    return fetch_frame(
        conn.execute(sql_file(HERE, "held_evidence"), {"org_id": org_id}), EVIDENCE_DTYPES
    )


@database_errors()
def hold_again(conn: Connection, run: Run, *, now: datetime) -> int:
    """Hold once more what this run resolved as timed out and a later night held while it waited.

    The question after that night asks about them; without this they would be asked about a whole
    night late.

    Returns:
        How many wait again; repeating the call adds none.

    Raises:
        StaleAttemptError: a newer attempt has replaced this one.
    """
    guard(conn, run, now=now)
    return conn.execute(sql_file(HERE, "hold_again"), {"run_id": run.id}).rowcount


WAITING_ORG = "SELECT max(org_id) FROM opt_out_sync.held_clear WHERE resolution IS NULL"
