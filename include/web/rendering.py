"""From a template and what it shows to a page."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from include.web.guard import Right, visitor_of

HERE: Final = Path(__file__).parent
PAGES: Final = {
    "": "Overview",
    "person": "Person",
    "compliance": "Compliance",
    "held": "Held clears",
    "audit": "Audit",
    "preflight": "Preflight",
    "settings": "Settings",
}
"""The menu: path below the mount, and title."""

NONE: Final = "\N{EN DASH}"
"""What stands where there is nothing."""
Posted = Callable[[Request, FormData], Response]


def render(
    request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **shown: Any
) -> HTMLResponse:
    """Return a page.

    Args:
        request: whose answer it is.
        template: file name.
        status: of the answer.
        shown: what the template names.
    """
    base = base_of(request)
    visitor = visitor_of(request)
    page = environment().get_template(template)
    html = page.render(
        base=base,
        airflow=base.rpartition("/")[0],
        pages=PAGES,
        here=request.url.path.removeprefix(f"{base}/").partition("/")[0],
        visitor=visitor,
        may_edit=visitor.may(Right.EDIT),
        may_see_addresses=visitor.may(Right.SEE_ADDRESSES),
        **shown,
    )
    return HTMLResponse(html, status)


def base_of(request: Request) -> str:
    """Return the path at which the pages are mounted, without a slash at its end."""
    return str(request.scope.get("root_path", ""))


def go_to(request: Request, path: str) -> RedirectResponse:
    """Send the browser to another page after a change, so that a reload does not repeat it."""
    return RedirectResponse(f"{base_of(request)}/{path}", HTTPStatus.SEE_OTHER)


def posted(handle: Posted) -> Callable[[Request], Any]:
    """Make an endpoint of a function that takes a form and may take its time."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handle, request, await request.form())

    return endpoint


def time_tag(moment: datetime | None, missing: str = NONE) -> Markup:
    """Return a time as UTC; the page's script turns it into the viewer's zone."""
    if moment is None:
        return Markup("{}").format(missing)
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M}"
    )


def duration(value: timedelta | float | None, missing: str = NONE) -> str:
    """Return a duration (seconds) in its two largest units."""
    if value is None:
        return missing
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 10:
        return f"{seconds:.1f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{int(count)} {unit}")
    return " ".join(parts[:2])


def number(value: float | None, missing: str = NONE) -> str:
    """Return a whole number with separators."""
    return missing if value is None else f"{value:,.0f}"


def counted(value: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def words(value: object) -> str:
    """Return a value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NONE
    if isinstance(value, date):
        return value.isoformat()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


@cache
def environment() -> Environment:
    """Return the templates: everything is escaped, and a missing name is an error."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        time=time_tag, duration=duration, number=number, words=words, counted=counted
    )
    return found
