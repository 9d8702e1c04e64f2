"""Erasing a person, so that nothing but a keyed hash of an opted-out address is left."""

from datetime import datetime

from sqlalchemy import Connection, text

from include.store.errors import UnknownPersonError, database_errors


@database_errors()
def erase_person(conn: Connection, person_id: int, *, by: str, note: str, now: datetime) -> int:
    """Erase a person and all acts of theirs; whoever is imported with the address starts opted out.

    Args:
        conn: in a transaction.
        person_id: whom.
        by: who decided it.
        note: why, without an address.
        now: when.

    Returns:
        How many opt-outs are kept as keyed hashes.

    Raises:
        UnknownPersonError: there is no such person, or no more.
    """
    values = {"person_id": person_id, "by": by, "note": note, "now": now}
    kept: int | None = conn.execute(text(ERASE), values).scalar_one()
    if kept is None:
        raise UnknownPersonError(f"person {person_id} is not in the store: nothing was recorded")
    return kept


ERASE = "SELECT engagement.erase_person(:person_id, :by, :note, :now)"
