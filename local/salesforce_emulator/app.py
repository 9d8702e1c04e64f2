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

from local.salesforce_emulator import (
    bulk_ingest,
    bulk_query,
    control,
    describe,
    oauth,
    query,
    record_collections,
    replication,
    soap_login,
    sobjects,
    tooling,
)
from local.salesforce_emulator.errors import SalesforceError, not_emulated, not_found
from local.salesforce_emulator.metadata import service as metadata_service
from local.salesforce_emulator.middleware import Edge
from local.salesforce_emulator.web import Call, json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from local.salesforce_emulator.org import Org

    Handler = Callable[[Org, Call], Response]
    Endpoint = Callable[[Request], Awaitable[Response]]

_DATA = "/services/data/v{version}"

_DATA_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", describe.resources),
    ("GET", "/limits", describe.limits),
    ("GET", "/limits/recordCount", describe.record_counts),
    ("GET", "/query", query.query),
    ("GET", "/queryAll", query.query_all),
    ("GET", "/query/{locator}", query.query_more),
    ("GET", "/queryAll/{locator}", query.query_more),
    ("GET", "/sobjects", describe.describe_global),
    ("GET", "/sobjects/{object}", describe.object_metadata),
    ("GET", "/sobjects/{object}/describe", describe.describe_object),
    ("GET", "/sobjects/{object}/describe/layouts", describe.describe_layouts),
    ("GET", "/sobjects/{object}/describe/layouts/{record_type}", describe.describe_layouts),
    ("GET", "/sobjects/{object}/updated", replication.updated),
    ("GET", "/sobjects/{object}/deleted", replication.deleted),
    ("POST", "/sobjects/{object}", sobjects.create_record),
    ("GET", "/sobjects/{object}/{id}", sobjects.read_record),
    ("PATCH", "/sobjects/{object}/{id}", sobjects.update_record),
    ("DELETE", "/sobjects/{object}/{id}", sobjects.delete_record),
    ("GET", "/sobjects/{object}/{field}/{value:path}", sobjects.read_by_key),
    ("PATCH", "/sobjects/{object}/{field}/{value:path}", sobjects.upsert_record),
    ("DELETE", "/sobjects/{object}/{field}/{value:path}", sobjects.delete_by_key),
    ("POST", "/composite/sobjects", record_collections.create_records),
    ("PATCH", "/composite/sobjects", record_collections.update_records),
    ("DELETE", "/composite/sobjects", record_collections.delete_records),
    ("PATCH", "/composite/sobjects/{object}/{field}", record_collections.upsert_records),
    ("GET", "/composite/sobjects/{object}", record_collections.read_records_by_get),
    ("POST", "/composite/sobjects/{object}", record_collections.read_records_by_post),
    ("GET", "/tooling/query", tooling.run_query),
    ("GET", "/tooling/query/{locator}", query.query_more),
    ("GET", "/tooling/sobjects/{object}/describe", tooling.describe_object),
    ("POST", "/tooling/sobjects/{object}", tooling.create_record),
    ("GET", "/tooling/sobjects/{object}/{id}", tooling.read_record),
    ("PATCH", "/tooling/sobjects/{object}/{id}", tooling.update_record),
    ("DELETE", "/tooling/sobjects/{object}/{id}", tooling.delete_record),
    ("POST", "/jobs/query", bulk_query.create_job),
    ("GET", "/jobs/query", bulk_query.list_jobs),
    ("GET", "/jobs/query/{id}", bulk_query.show_job),
    ("PATCH", "/jobs/query/{id}", bulk_query.change_state),
    ("DELETE", "/jobs/query/{id}", bulk_query.delete_job),
    ("GET", "/jobs/query/{id}/results", bulk_query.results),
    ("GET", "/jobs/query/{id}/resultPages", bulk_query.result_pages),
    ("POST", "/jobs/ingest", bulk_ingest.create_job),
    ("GET", "/jobs/ingest", bulk_ingest.list_jobs),
    ("GET", "/jobs/ingest/{id}", bulk_ingest.show_job),
    ("PATCH", "/jobs/ingest/{id}", bulk_ingest.change_state),
    ("DELETE", "/jobs/ingest/{id}", bulk_ingest.delete_job),
    ("GET", "/jobs/ingest/{id}/{results}", bulk_ingest.results),
)
_SOAP_ROUTES: tuple[tuple[str, Handler], ...] = (
    ("u/{version}", soap_login.serve),
    ("u/{version}/{organization}", soap_login.serve),
    ("m/{version}", metadata_service.serve),
    ("m/{version}/{rest:path}", metadata_service.serve),
)
_NOT_EMULATED = (
    ("/services/async/", "Bulk API 1.0"),
    ("/services/Soap/", "the SOAP API"),
    ("/services/apexrest/", "Apex REST"),
    ("/services/oauth2/", "this part of OAuth; log in with client credentials"),
    ("/tooling/", "the Tooling API"),
    ("/composite", "this composite resource"),
    ("/sobjects/", "this operation on records"),
)


def create_app(org: Org) -> Edge:
    """Return the ASGI application of an org."""
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
        Route(_DATA + "/jobs/ingest/{id}/batches", _upload_endpoint(org), methods=["PUT"]),
        *(
            Route(_DATA + path, _data_endpoint(org, handler), methods=[method])
            for method, path, handler in _DATA_ROUTES
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
        _check_version(call)
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


def _check_version(call: Call) -> None:
    """Refuse retired versions with 410 [documented] and future ones with 404 [assumed]."""
    try:
        number = float(call.version)
    except ValueError as error:
        raise not_found() from error
    if number < describe.OLDEST_VERSION:
        raise SalesforceError(
            410, "UNSUPPORTED_API_VERSION", f"API version {call.version} is no longer supported"
        )
    if number > describe.NEWEST_VERSION:
        raise not_found()


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
