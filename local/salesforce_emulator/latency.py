"""How long a real org would take: nothing at all, or a declared guess at it.

No trustworthy public figures were found: the realistic profile is [assumed] as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from local.salesforce_emulator.errors import SalesforceError


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds for a call, seconds until a bulk job starts, and rows per second while it runs."""

    name: str
    call_seconds: float = 0.0
    job_seconds: float = 0.0
    rows_per_second: float = 0.0


PROFILES = {
    "zero": Latency("zero"),
    "realistic": Latency("realistic", 0.06, 2.0, 40_000.0),
}


def profile(name: object) -> Latency:
    """Return the profile of that name.

    Raises:
        SalesforceError: 400, there is none.
    """
    found = PROFILES.get(str(name))
    if found is None:
        raise SalesforceError(400, "BAD_REQUEST", f"profile must be one of {', '.join(PROFILES)}")
    return found
