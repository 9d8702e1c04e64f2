"""An admin may change their mind while a night runs: the next write is not made."""

from sqlalchemy import Connection

from include.audit import settings
from include.audit.runs import Run
from include.audit.settings import Settings
from include.domain.errors import PermanentSyncError


class ChoicesChangedError(PermanentSyncError):
    """The settings no longer allow what this night planned: nothing more is written."""


def require_unchanged(conn: Connection, run: Run) -> None:
    """Raise unless the sync is on and still means the same field, rule and acts.

    Called before every write, so that "paused" takes effect at once, also for a failed night that
    is cleared days later.

    Raises:
        ChoicesChangedError: it is off, or the plan was made under other choices.
    """
    chosen = settings.current(conn).settings
    if not chosen.enabled or chosen.paused:
        raise ChoicesChangedError(
            "the sync was switched off while this night ran: nothing more is written; once it is "
            "on again, clear the night from preflight"
        )
    if _meaning(chosen) != _meaning(run.settings.settings):
        raise ChoicesChangedError(
            "the opt-out field, the rule or the synced acts were changed while this night ran: "
            "nothing more is written; clear the night from preflight"
        )


def _meaning(chosen: Settings) -> tuple[object, ...]:
    return (
        chosen.opt_out_fields,
        chosen.conflict_rule,
        frozenset(chosen.synced_scopes),
        chosen.bounces_sync,
    )
