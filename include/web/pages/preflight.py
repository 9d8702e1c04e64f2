"""Preflight: every requirement as a line, checked when somebody asks."""

from collections.abc import Iterable
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
    groups = _grouped(checked.items)
    return render(request, "preflight.html", checked=checked, groups=groups, badges=BADGES)


def _grouped(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Return the lines by group: groups in which something is not met come first."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    is_met = {name: all(i.state is not State.FAIL for i in lines) for name, lines in groups.items()}
    return dict(sorted(groups.items(), key=lambda group: is_met[group[0]]))


ROUTES: Final = [
    Route("/preflight", show, methods=["GET"]),
    Route("/preflight", posted(run), methods=["POST"]),
]
