"""The starlette application: which path leads to which handler."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Route

from local.salesforce_emulator import bulk_ingest, control, describe, oauth, soap_login
from local.salesforce_emulator.bulk1 import routes as bulk1_routes
from local.salesforce_emulator.errors import SalesforceError, not_emulated, not_found
from local.salesforce_emulator.metadata import service as metadata_service
from local.salesforce_emulator.middleware import Edge
from local.salesforce_emulator.parts import PartAnswerer
from local.salesforce_emulator.routes import DATA, DATA_ROUTES
from local.salesforce_emulator.versions import check_version
from local.salesforce_emulator.web import Call, json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from local.salesforce_emulator.org import Org

    Handler = Callable[[Org, Call], Response]
    Endpoint = Callable[[Request], Awaitable[Response]]


_SOAP_ROUTES: tuple[tuple[str, Handler], ...] = (
    ("u/{version}", soap_login.serve),
    ("u/{version}/{organization}", soap_login.serve),
    ("m/{version}", metadata_service.serve),
    ("m/{version}/{rest:path}", metadata_service.serve),
)
_NOT_EMULATED = (
    ("/services/async/", "this part of Bulk API 1.0"),
    ("/services/Soap/", "this part of the SOAP API"),
    ("/services/apexrest/", "Apex REST"),
    ("/services/oauth2/", "this part of OAuth"),
    ("/tooling/", "this part of the Tooling API"),
    ("/composite", "this composite resource"),
    ("/sobjects/", "this operation on records"),
    *(
        (f"/{name}", f"the resource {name}")
        for name in ("actions", "analytics", "chatter", "connect", "recent", "search", "ui-api")
    ),
)


def create_app(org: Org) -> Edge:
    """Return the ASGI application of an org."""
    org.answer_part = PartAnswerer(org)
    routes = [
        Route("/services/oauth2/token", _open_endpoint(org, oauth.token), methods=["POST"]),
        Route(
            "/services/oauth2/userinfo",
            _open_endpoint(org, oauth.userinfo),
            methods=["GET", "POST"],
        ),
        Route("/services/oauth2/revoke", _open_endpoint(org, oauth.revoke), methods=["POST"]),
        Route("/id/{organization}/{user}", _open_endpoint(org, oauth.identity), methods=["GET"]),
        *(
            Route(f"/services/Soap/{path}", _open_endpoint(org, handler), methods=["POST"])
            for path, handler in _SOAP_ROUTES
        ),
        # simple-salesforce writes "https://" + domain + ".salesforce.com/services/oauth2/token";
        # a domain ending in "/login?x=" turns the rest into a query string.
        Route("/login", _open_endpoint(org, oauth.token), methods=["POST"]),
        Route("/services/data", _open_endpoint(org, describe.versions), methods=["GET"]),
        Route(DATA + "/jobs/ingest/{id}/batches", _upload_endpoint(org), methods=["PUT"]),
        *(
            Route(DATA + path, _data_endpoint(org, handler), methods=[method])
            for method, path, handler in DATA_ROUTES
        ),
        *(
            Route(bulk1_routes.ROOT + path, _async_endpoint(org, handler), methods=[method])
            for method, path, handler in bulk1_routes.ROUTES
        ),
        *(
            Route("/__emulator__" + path, _open_endpoint(org, handler), methods=[method])
            for method, path, handler in control.ROUTES
        ),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _unknown_path})
    app.router.redirect_slashes = False
    return Edge(app, routes, org)


def _open_endpoint(org: Org, handler: Handler) -> Endpoint:
    """Wrap a handler which needs no login and costs no API request."""

    async def endpoint(request: Request) -> Response:
        call = _call(request, await request.body())
        return await run_in_threadpool(_answer, org, handler, call)

    return endpoint


def _data_endpoint(org: Org, handler: Handler) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        call = _call(request, _unpacked(await request.body(), request))
        return await run_in_threadpool(_answer_counted, org, handler, call)

    return endpoint


def _async_endpoint(org: Org, handler: Handler) -> Endpoint:
    """Wrap a handler of Bulk API 1.0, which words its refusals in its own way."""

    async def endpoint(request: Request) -> Response:
        call = _call(request, _unpacked(await request.body(), request))
        return await run_in_threadpool(bulk1_routes.answer, org, handler, call)

    return endpoint


def _unpacked(body: bytes, request: Request) -> bytes:
    """Return the body without its compression [documented]; a broken one is read as it is."""
    if request.headers.get("content-encoding") != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return body


def _upload_endpoint(org: Org) -> Endpoint:
    """Wrap ``PUT jobs/ingest/{id}/batches``: the body goes to disk as it comes."""

    def admit(org: Org, call: Call) -> Response:
        bulk_ingest.job_for_upload(org, call.params["id"])
        return call.answer(None, 201)

    async def endpoint(request: Request) -> Response:
        call = _call(request, b"")
        response = await run_in_threadpool(_answer_counted, org, admit, call)
        if response.status_code != 201:
            return response
        job = org.jobs.store.get("ingest", call.params["id"])
        path = org.jobs.store.file(job, "upload")
        size = 0
        with path.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                file.write(chunk)
        if size > bulk_ingest.MOST_BYTES:
            return _refusal(bulk_ingest.too_large(), call)
        org.jobs.store.update(job, only_from=("Open",), uploaded=1)
        response.body = b""
        response.headers["content-length"] = "0"
        return response

    return endpoint


def _call(request: Request, body: bytes) -> Call:
    return Call(
        method=request.method,
        scheme=request.url.scheme,
        path=request.url.path,
        params=request.path_params,
        query=request.query_params,
        headers=request.headers,
        body=body,
    )


def _answer_counted(org: Org, handler: Handler, call: Call) -> Response:
    """Answer a data request: version, session, allowance, then the work."""

    def admitted(org: Org, call: Call) -> Response:
        check_version(call.version)
        user_id = org.sessions.check(call.headers)
        org.limits.spend()
        return handler(org, replace(call, user_id=user_id))

    response = _answer(org, admitted, call)
    response.headers["Sforce-Limit-Info"] = org.limits.header()
    return response


def _answer(org: Org, handler: Handler, call: Call) -> Response:
    try:
        return handler(org, call)
    except SalesforceError as error:
        return _refusal(error, call)


def _refusal(error: SalesforceError, call: Call) -> Response:
    return call.answer(error.body(), error.status)


async def _unknown_path(request: Request, error: Exception) -> Response:
    """Answer a path or method without a handler: 501 where Salesforce would know it."""
    path = request.url.path
    for part, what in _NOT_EMULATED:
        if part in path:
            return _as_json(not_emulated(f"{what} ({request.method} {path})"))
    if isinstance(error, HTTPException) and error.status_code == 405:
        message = f"HTTP Method '{request.method}' not allowed"  # [documented]
        return _as_json(SalesforceError(405, "METHOD_NOT_ALLOWED", message))
    return _as_json(not_found())


def _as_json(error: SalesforceError) -> Response:
    body: Any = error.body()
    return json_response(body, error.status)
