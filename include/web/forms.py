"""What somebody typed, as the rest of the program takes it."""

from collections.abc import Mapping
from datetime import UTC, datetime


def text(form: Mapping[str, object], name: str) -> str:
    """Return what was typed into a box, without white space around it; empty: nothing was.

    A NUL, which no keyboard has and no database takes, is left out.
    """
    value = form.get(name)
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def moment(typed: str) -> datetime | None:
    """Read a time: in UTC, unless it says otherwise. None: it is none."""
    try:
        found = datetime.fromisoformat(typed)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
