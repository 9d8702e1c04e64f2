"""How many API requests the org has left.

Salesforce counts the requests of all clients of an org over the last 24 hours and says so in
`Sforce-Limit-Info` of every REST answer; it never sends `Retry-After`.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from include.salesforce.session import SalesforceSession

# `api-usage=18/5000; per-app-api-usage=17/250(appName=x)`: only the org's own figure counts
_USAGE: Final = re.compile(r"(?:^|[\s;])api-usage=(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class ApiBudget:
    """The org's API requests of the last 24 hours."""

    used: int
    allowed: int

    @property
    def remaining(self) -> int:
        """Requests left; never negative, although Salesforce lets an org exceed its limit."""
        return max(0, self.allowed - self.used)


def parse_limit_info(header: str | None) -> ApiBudget | None:
    """Read `Sforce-Limit-Info`; null when the header is absent or says nothing of the org."""
    match = _USAGE.search(header or "")
    return ApiBudget(used=int(match[1]), allowed=int(match[2])) if match else None


def read_budget(session: "SalesforceSession") -> ApiBudget:
    """Ask Salesforce for the org's `DailyApiRequests`."""
    daily = session.json("GET", "limits", repeatable=True)["DailyApiRequests"]
    return ApiBudget(used=int(daily["Max"]) - int(daily["Remaining"]), allowed=int(daily["Max"]))
