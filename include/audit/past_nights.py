"""What is known of a past night: whether it closed, and whom it was about."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include.audit.runs import Run, night_of
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent


@database_errors()
def has_closed(conn: Connection, end: datetime) -> bool:
    """Tell whether the live night has closed whose interval ends at a moment."""
    values = {"night": night_of(end), "end": end}
    return bool(conn.execute(sql_file(HERE, "night_has_closed"), values).scalar())


@database_errors()
def people_of_interval(conn: Connection, run: Run, start: datetime, end: datetime) -> set[int]:
    """Find whom a rerun is about, by what the database knows.

    Returns:
        Who recorded an act in the interval, and whose writes the runs of that night left failed
        or held.
    """
    values = {"org_id": run.org, "night": run.night, "start": start, "end": end}
    found = conn.execute(sql_file(HERE, "people_of_interval"), values).scalars()
    return {int(person) for person in found}
