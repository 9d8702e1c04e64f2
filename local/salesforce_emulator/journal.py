"""What was asked of the emulator, so that tests can count calls and benchmarks subtract it."""

from __future__ import annotations

import threading
from collections import Counter, deque

_REMEMBERED = 1_000


class Journal:
    """Counts of requests by method and path template, and the newest requests themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._milliseconds = 0.0
        self._newest: deque[dict[str, object]] = deque(maxlen=_REMEMBERED)

    def add(self, key: str, request: str, status: int, milliseconds: float) -> None:
        """Count one request and the time this process spent on it; status 0 means no answer."""
        entry = {"request": request, "status": status, "ms": round(milliseconds, 1)}
        with self._lock:
            self._counts[key] += 1
            self._milliseconds += milliseconds
            self._newest.append(entry)

    def report(self) -> dict[str, object]:
        """Return the counts; ``api_requests`` leaves logins out."""
        with self._lock:
            counts = dict(sorted(self._counts.items()))
            milliseconds = round(self._milliseconds, 1)
        api_requests = sum(n for key, n in counts.items() if _costs_a_request(key))
        return {"counts": counts, "api_requests": api_requests, "server_ms": milliseconds}

    def newest(self) -> list[dict[str, object]]:
        """Return the newest requests, oldest first."""
        with self._lock:
            return list(self._newest)

    def reset(self) -> None:
        """Forget everything counted."""
        with self._lock:
            self._counts.clear()
            self._newest.clear()
            self._milliseconds = 0.0


def _costs_a_request(key: str) -> bool:
    return any(part in key for part in (" /services/data/", " /services/async/", "/Soap/m/"))
