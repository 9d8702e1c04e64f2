"""What is known of a past night: whether it closed, and whom it was about."""

from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection

from include.audit.runs import Run
from include.store.database import sql_file
from include.store.errors import database_errors

HERE = Path(__file__).parent


@database_errors()
def has_closed(conn: Connection, night: date) -> bool:
    """Tell whether a live night of this name has closed."""
    return bool(conn.execute(sql_file(HERE, "night_has_closed"), {"night": night}).scalar())


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
