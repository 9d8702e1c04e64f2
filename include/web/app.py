"""The application: routes, and the guard around all of them."""

from http import HTTPStatus
from typing import Final, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from include.domain.errors import OptOutSyncError, TransientSyncError
from include.reports.search import WrongFilterError
from include.store.errors import UnknownPersonError
from include.web.guard import Guard, Right
from include.web.headers import SecurityHeaders
from include.web.pages import audit, compliance, held, overview, person, preflight, settings
from include.web.rendering import HERE, render
from include.web.services import Services

RIGHTS: Final[dict[str, Right | None]] = {
    "/person": None,  # a look-up is a form, so that no address stands in an URL or a log
    "/preflight": None,  # asks Salesforce, changes nothing
}
"""Forms that readers may send, too. Every other one needs the right to edit."""


def create_app(services: Services) -> Starlette:
    """Build the pages over the outside world that is handed in."""
    app = Starlette(
        routes=routes(),
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(
                Guard, sign_in=services.sign_in, rights=RIGHTS, own_hosts=services.own_hosts
            ),
        ],
        exception_handlers={
            OptOutSyncError: _said_by_the_sync,
            HTTPException: _said_by_the_routes,
        },
    )
    app.state.services = services
    return app


def routes() -> list[BaseRoute]:
    """Return every route, files included."""
    return [
        Route("/", overview.show),
        *settings.ROUTES,
        *preflight.ROUTES,
        *audit.ROUTES,
        *person.ROUTES,
        Route("/held", held.show),
        *compliance.ROUTES,
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ]


def _said_by_the_sync(request: Request, error: Exception) -> Response:
    """Say what is wrong: our own sentences tell what to do, and name nobody."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, UnknownPersonError):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, WrongFilterError):
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    elif isinstance(error, TransientSyncError):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    return render(request, "error.html", status, title="That did not work", sentence=str(error))


def _said_by_the_routes(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)  # what it is registered for
    status = HTTPStatus(known.status_code)
    return render(request, "error.html", status, title=status.phrase, sentence=known.detail)
