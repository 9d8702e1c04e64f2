"""The database's clock, which every worker goes by.

Workers' clocks differ; leases, and what counts as the time of a read, must not. The store dates its
acts by the database's clock, so everything else is dated by it, too.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from include.store.database import transaction


def clock_of(
    engine: Engine, *, elapsed: Callable[[], float] = time.monotonic
) -> Callable[[], datetime]:
    """Return a clock that is set by the database's, now, and goes on by itself.

    Args:
        engine: whose clock counts.
        elapsed: seconds since any moment; never set back.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    with transaction(engine) as conn:
        began: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    since = elapsed()
    return lambda: began.astimezone(UTC) + timedelta(seconds=elapsed() - since)
