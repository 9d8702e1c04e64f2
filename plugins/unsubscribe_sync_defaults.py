"""What every task of this project has in common: patience, and when patience is pointless."""

import os
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

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
    "retry_delay": timedelta(seconds=float(os.environ.get("OPT_OUT_SYNC_RETRY_SECONDS", "30"))),
    "retry_exponential_backoff": 2.0,  # the factor; True would be 1.0, no growth
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "retry_policy": RETRY_POLICY,
}
