"""The first page: is everything all right, and if not, what first?"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from include.reports.overview import overview
from include.web import charts
from include.web.rendering import render
from include.web.services import services_of

SPANS: Final = (30, 90, 365)
"""Nights that can be looked at."""
LINKS: Final = {
    "nights": "audit/nights",
    "failures": "audit/failures",
    "held": "held",
    "settings": "settings",
    "compliance": "compliance",
    "unreachable": "audit/unreachable",
    "preflight": "preflight",
}
"""Where a thing that needs attention is explained, below the mount."""


def show(request: Request) -> Response:
    """Show the last nights, the push and what needs attention."""
    services = services_of(request)
    asked = request.query_params.get("nights", "")
    span = int(asked) if asked in map(str, SPANS) else SPANS[0]
    found = overview(services.store(), now=services.clock(), nights=span)
    return render(
        request,
        "overview.html",
        found=found,
        schedule=services.schedule(),
        span=span,
        spans=SPANS,
        links=LINKS,
        charts=[
            charts.carried(found.nights),
            charts.conflicts(found.nights),
            charts.failures(found.nights),
        ],
    )
