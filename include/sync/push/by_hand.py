"""What a person does about a push that waits: have it tried now, or give it up until the night."""

from datetime import datetime

from sqlalchemy import Connection, text

from include.store.errors import database_errors


@database_errors()
def retry(conn: Connection, person_id: int, *, by: str, note: str, now: datetime) -> bool:
    """Let a push look at a waiting or parked person at once, and note who asked for it.

    Returns:
        Whether somebody waited; repeating asks again and changes nothing else.

    Raises:
        StoreRefusedError: `by` or `note` is blank.
    """
    values = {"person_id": person_id, "by": by, "note": note, "now": now}
    return bool(conn.execute(text(RETRY), values).scalar_one())


@database_errors()
def give_up(conn: Connection, person_id: int, *, by: str, note: str, now: datetime) -> bool:
    """Close a parked push: no further attempt before the person changes; note who decided it.

    The opt-out is not given up: every night compares everybody, and tries again.

    Returns:
        Whether it was parked; a push that waits for another attempt, or runs, stays as it is.

    Raises:
        StoreRefusedError: `by` or `note` is blank.
    """
    values = {"person_id": person_id, "by": by, "note": note, "now": now}
    return bool(conn.execute(text(GIVE_UP), values).scalar_one())


RETRY = "SELECT opt_out_sync.retry_push(:person_id, :by, :note, :now)"
GIVE_UP = "SELECT opt_out_sync.give_up_push(:person_id, :by, :note, :now)"
