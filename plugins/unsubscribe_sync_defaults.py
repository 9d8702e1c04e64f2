"""What every task of this project has in common: patience, and when patience is pointless."""

import os
from datetime import timedelta
from math import inf, nan
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule

if TYPE_CHECKING:
    from airflow.sdk import Context


def from_environment(name: str, default: float) -> float:
    """Return a number that shapes a DAG, so it is needed when the file is parsed.

    Raises:
        ValueError: it is none, or not above zero; the message names the variable.
    """
    given = os.environ.get(name) or str(default)
    try:
        number = float(given)
    except ValueError:
        number = nan
    if not 0 < number < inf:
        raise ValueError(f"{name} must be a number above 0: set it in every Airflow component")
    return number


RETRY_DELAY: Final = timedelta(seconds=from_environment("OPT_OUT_SYNC_RETRY_SECONDS", 30))

RETRY_POLICY: Final = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="include.domain.errors.PermanentSyncError",
            action=RetryAction.FAIL,
            reason="a person must look: the message says what to change",
        )
    ]
)
"""Permanent errors fail at once; everything else is retried as `DEFAULT_ARGS` says."""

DEFAULT_ARGS: Final[dict[str, Any]] = {
    "owner": "opt-out-sync",
    # 30 s, then twice as long each time: a quarter of an hour, so ten minutes without Salesforce
    # cost no night
    "retries": 5,
    "retry_delay": RETRY_DELAY,
    "retry_exponential_backoff": 2.0,  # the factor; True would be 1.0, no growth
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "retry_policy": RETRY_POLICY,
}


class TurnPolicy(ExceptionRetryPolicy):
    """Waits for the lease without a worker, and is patient about that alone.

    Ten replays that waited in ten workers would leave none for the night that they wait for.

    Args:
        tries: how often anything else is tried; each wait counts as a try, too.
    """

    RETRIES: Final = 120
    """How often a run looks for the lease: for two hours."""

    def __init__(self, *, tries: int) -> None:
        super().__init__(RETRY_POLICY.rules)
        self.tries = tries

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: "Context | None" = None,
    ) -> RetryDecision:
        """Decide in the process of the task that failed."""
        from include.audit.runs import NightAlreadyOpenError

        if isinstance(exception, NightAlreadyOpenError):
            return RetryDecision.retry(2 * RETRY_DELAY, "another run holds the lease")
        if try_number >= self.tries:
            return RetryDecision.fail("it was tried often enough")
        return super().evaluate(exception, try_number, max_tries, context)
