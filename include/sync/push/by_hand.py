"""What a person does about a push that waits: have it tried now, or give it up until the night."""

from datetime import datetime

from sqlalchemy import Connection


def retry(conn: Connection, person_id: int, *, by: str, note: str, now: datetime) -> bool:
    """Let a push look at a waiting or parked person at once.

    Returns:
        Whether somebody waited; repeating asks again and changes nothing else.
    """
    raise NotImplementedError


def give_up(conn: Connection, person_id: int, *, by: str, note: str, now: datetime) -> bool:
    """Close a parked push: no further attempt before the person changes.

    The opt-out is not given up: every night compares everybody, and tries again.

    Returns:
        Whether it was parked; a push that waits for another attempt, or runs, stays as it is.
    """
    raise NotImplementedError
