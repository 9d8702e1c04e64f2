"""Preflight: every requirement as a line, checked when somebody asks."""

from typing import Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.reports.checklist import checklist
from include.reports.items import Item, State
from include.web.rendering import posted, render
from include.web.services import services_of

BADGES: Final = {
    State.OK: "ok",
    State.WARN: "warn",
    State.FAIL: "bad",
    State.UNKNOWN: "unknown",
}


def show(request: Request) -> Response:
    """Offer to check; looking at the page alone asks Salesforce nothing."""
    return render(request, "preflight.html", checked=None, badges=BADGES)


def run(request: Request, _: FormData) -> Response:
    """Check everything now."""
    services = services_of(request)
    checked = checklist(
        services.store(),
        services.salesforce(),
        now=services.clock(),
        administration=services.administration(),
    )
    groups: dict[str, list[Item]] = {}  # in the order in which they are worth mending
    for item in checked.items:
        groups.setdefault(item.group, []).append(item)
    return render(request, "preflight.html", checked=checked, groups=groups, badges=BADGES)


ROUTES: Final = [
    Route("/preflight", show, methods=["GET"]),
    Route("/preflight", posted(run), methods=["POST"]),
]
