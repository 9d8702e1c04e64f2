"""What was asked of the emulator, so that tests can count calls and benchmarks subtract it."""

from __future__ import annotations

import threading
from collections import Counter


class Journal:
    """Counts of requests by method and path template."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._milliseconds = 0.0

    def add(self, key: str, milliseconds: float) -> None:
        """Count one request and the time this process spent on it."""
        with self._lock:
            self._counts[key] += 1
            self._milliseconds += milliseconds

    def report(self) -> dict[str, object]:
        """Return the counts; ``api_requests`` leaves logins out."""
        with self._lock:
            counts = dict(sorted(self._counts.items()))
            milliseconds = round(self._milliseconds, 1)
        api_requests = sum(n for key, n in counts.items() if " /services/data/" in key)
        return {"counts": counts, "api_requests": api_requests, "server_ms": milliseconds}

    def reset(self) -> None:
        """Forget everything counted."""
        with self._lock:
            self._counts.clear()
            self._milliseconds = 0.0
