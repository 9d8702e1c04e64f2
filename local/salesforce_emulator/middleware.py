"""The edge of the server: takes its time, misbehaves when told to, counts, measures itself."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Match

from local.salesforce_emulator.clock import exact_now
from local.salesforce_emulator.misbehaviour import Accident

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.salesforce_emulator.org import Org

_LONGEST_URL = 16_384  # [assumed]
_CONTROL = "/__emulator__"


class Edge:
    """Wraps the application; faults and latency never hit the control API."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route], org: Org) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=1_000, compresslevel=1)
        self._routes = routes
        self._org = org

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _tidy_path(scope)
        if scope["path"].startswith(_CONTROL):
            app = self._app if _is_near(scope) else _HIDDEN
            await app(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 0

        async def timed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                spent = (time.perf_counter() - started) * 1_000
                message["headers"] += [
                    (b"date", format_datetime(exact_now(), usegmt=True).encode()),
                    (b"x-emu-server-ms", b"%.1f" % spent),
                ]
            await send(message)

        target = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        try:
            await asyncio.sleep(self._org.options.latency.call_seconds)
            await self._answer(target, scope, receive, timed_send)
        finally:
            spent = (time.perf_counter() - started) * 1_000
            key = f"{scope['method']} {self._template(scope)}"
            self._org.journal.add(key, f"{scope['method']} {target}", status, spent)

    async def _answer(self, target: str, scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_URL:
            await Response("<h1>URI Too Long</h1>", 414)(scope, receive, send)
            return
        app = self._compressing if self._org.options.gzip else self._app
        fault = self._org.faults.for_request(scope["method"], target)
        if fault is None:
            await app(scope, receive, send)
        else:
            await Accident(app, self._org, fault, scope, receive, send).happen()

    def _template(self, scope: Scope) -> str:
        """Return the path with its variable parts in braces."""
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return route.path
        return str(scope["path"])


_HIDDEN = Response(status_code=404)


def _is_near(scope: Scope) -> bool:
    """Whether the client is on this machine: only such a one may control the org."""
    return ipaddress.ip_address(scope["client"][0]).is_loopback


def _tidy_path(scope: Scope) -> None:
    """Salesforce does not mind a slash at the end, nor two at the start [recorded]."""
    if len(scope["path"]) > 1:
        scope["path"] = "/" + scope["path"].strip("/")
