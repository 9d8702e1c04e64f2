"""The daily allowance of API requests."""

from __future__ import annotations

import threading
from collections import Counter

from local.salesforce_emulator.errors import SalesforceError

_DAILY_API_REQUESTS = 100_000  # an Enterprise org without licences counted [documented]
_OTHER_LIMITS = {  # [documented]
    "DailyBulkApiBatches": 15_000,
    "DailyBulkV2QueryJobs": 10_000,
    "DailyBulkV2QueryFileStorageMB": 976_562,
    "ConcurrentAsyncGetReportInstances": 200,
    "DataStorageMB": 10_240,
}


class Limits:
    """Counts requests; the real count rolls over 24 hours, this one until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.allowed = _DAILY_API_REQUESTS
        self.used = 0
        self._others: Counter[str] = Counter()

    def spend(self) -> None:
        """Count one request.

        Raises:
            SalesforceError: 403 REQUEST_LIMIT_EXCEEDED: none is left [captured]. A real org lets
                some requests more pass before it refuses; this one is exact [assumed].
        """
        with self._lock:
            if self.used >= self.allowed:
                raise SalesforceError(
                    403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."
                )
            self.used += 1

    def count(self, name: str, number: int = 1) -> None:
        """Count what another allowance is spent on; nothing is refused beyond it [assumed]."""
        with self._lock:
            self._others[name] += number

    def set(self, *, allowed: int, used: int) -> None:
        """Set the allowance and what is spent of it."""
        with self._lock:
            self.allowed, self.used = allowed, used

    def reset(self) -> None:
        """Return to the allowances of a new org."""
        self.set(allowed=_DAILY_API_REQUESTS, used=0)
        with self._lock:
            self._others.clear()

    def header(self) -> str:
        """Return the value of ``Sforce-Limit-Info`` [recorded]."""
        return f"api-usage={self.used}/{self.allowed}"

    def report(self) -> dict[str, dict[str, int]]:
        """Return the body of the limits resource; storage does not move."""
        daily = {"Max": self.allowed, "Remaining": max(0, self.allowed - self.used)}
        others = {
            name: {"Max": most, "Remaining": max(0, most - self._others[name])}
            for name, most in _OTHER_LIMITS.items()
        }
        return {"DailyApiRequests": daily, **others}
