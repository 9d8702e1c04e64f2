"""What is wrong with everything: when to try again, and how to say so.

Transient trouble pauses the push, so that nothing tries it again before it is worth it; what a
person has to mend does, too, and makes the run red.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from include.audit import pauses
from include.audit.pauses import Pause
from include.domain.errors import OptOutSyncError
from include.domain.values import FailureClass
from include.salesforce.errors import (
    ApiLimitError,
    IncompleteJobError,
    SalesforceUnavailableError,
    SessionExpiredError,
)
from include.salesforce.limits import ApiBudget
from include.store.database import transaction
from include.sync.push.patience import doubling
from include.sync.push.settling import Failure

PASSING: Final = (
    SalesforceUnavailableError,
    ApiLimitError,
    SessionExpiredError,
    IncompleteJobError,
)
"""What Salesforce does to everybody and what passes by itself."""

LOW_BUDGET: Final = "LOW_API_BUDGET"
SLOWER: Final = timedelta(seconds=30)
_FIRST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(minutes=5)
_NO_REQUESTS: Final = timedelta(minutes=15)  # they come back over 24 hours, a few at a time
_PERSON: Final = timedelta(minutes=1)
_PERSON_LONGEST: Final = timedelta(minutes=30)
_FIX: Final = "Nothing to do: the push tries again as soon as Salesforce answers."


def failure_of(error: OptOutSyncError) -> Failure:
    """Return trouble with everything as the failure of each person who waits for its end."""
    return Failure(FailureClass.RETRY, code_of(error), _FIX)


def code_of(error: OptOutSyncError) -> str:
    """Return the name of an error as a code: `SalesforceUnavailableError` is one, too."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def pause_after(engine: Engine, error: OptOutSyncError, *, now: datetime, spread: float) -> Pause:
    """Let nothing be pushed for a while; the more often it fails in a row, the longer."""
    with transaction(engine) as conn:
        known = pauses.current(conn)
        failures = known.failures if known is not None else 0
        until = now + _how_long(error, failures, spread)
        return pauses.begin(conn, until=until, code=code_of(error), reason=str(error), now=now)


def slow_down(
    engine: Engine, budget: ApiBudget | None, reserve: int, *, now: datetime
) -> Pause | None:
    """Pause between batches while the org's requests run low; a push uses them all the same.

    The night stops at the reserve and leaves it to the push: an opt-out within hours matters more
    than a comparison of everything.
    """
    if budget is None or budget.remaining >= reserve:
        return None
    reason = (
        f"Salesforce allows {budget.remaining} more API requests today, the settings keep "
        f"{reserve} in reserve: pushes are made every {SLOWER.seconds} seconds until they refill"
    )
    with transaction(engine) as conn:
        return pauses.begin(conn, until=now + SLOWER, code=LOW_BUDGET, reason=reason, now=now)


def _how_long(error: OptOutSyncError, failures: int, spread: float) -> timedelta:
    if isinstance(error, ApiLimitError):
        return _NO_REQUESTS
    if not isinstance(error, PASSING):
        return doubling(_PERSON, _PERSON_LONGEST, failures, spread)
    asked = getattr(error, "retry_after", None) or 0.0
    return max(doubling(_FIRST, _LONGEST, failures, spread), timedelta(seconds=asked))
