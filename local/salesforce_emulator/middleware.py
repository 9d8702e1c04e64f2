"""The edge of the server: misbehaves when told to, counts, and measures itself."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Match

from local.salesforce_emulator.errors import invalid_session
from local.salesforce_emulator.sessions import token_of
from local.salesforce_emulator.web import json_response

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.salesforce_emulator.faults import Fault
    from local.salesforce_emulator.org import Org

TRANSPORT = "emulator.transport"  # the key under which server.py hands over the connection
_LONGEST_URL = 16_384  # [assumed]
_NO_LINGER = struct.pack("ii", 1, 0)


class Edge:
    """Wraps the application; faults never hit the control API."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route], org: Org) -> None:
        self._app = app
        self._routes = routes
        self._org = org

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _drop_trailing_slash(scope)
        if scope["path"].startswith("/__emulator__"):
            await self._app(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def timed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                spent = (time.perf_counter() - started) * 1_000
                message["headers"].append((b"x-emu-server-ms", b"%.1f" % spent))
            await send(message)

        target = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_URL:
            await Response("<h1>URI Too Long</h1>", 414)(scope, receive, timed_send)
            return
        fault = self._org.faults.for_request(scope["method"], target)
        try:
            if fault is None:
                await self._app(scope, receive, timed_send)
            else:
                await self._misbehave(fault, scope, receive, timed_send)
        finally:
            key = f"{scope['method']} {self._template(scope)}"
            self._org.journal.add(key, (time.perf_counter() - started) * 1_000)

    def _template(self, scope: Scope) -> str:
        """Return the path with its variable parts in braces."""
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return route.path
        return str(scope["path"])

    async def _misbehave(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.action == "reset":
            _reset(scope)
        elif fault.action == "reset_after":
            await self._app(scope, receive, _swallow)
            _reset(scope)
        elif fault.action == "truncate":
            await self._truncate(scope, receive, send)
        else:
            await self._refuse(fault, scope)(scope, receive, send)

    def _refuse(self, fault: Fault, scope: Scope) -> Response:
        if fault.action == "expire_session":
            self._org.sessions.revoke(token_of(_headers(scope)))
            return json_response(invalid_session().body(), 401)
        if isinstance(fault.body, str):
            return Response(fault.body, fault.status, media_type="text/html")
        default = [{"message": "An unexpected error occurred", "errorCode": "UNKNOWN_EXCEPTION"}]
        return json_response(default if fault.body is None else fault.body, fault.status)

    async def _truncate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the body the headers promise, then close."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in messages)
        await send(messages[0])
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(scope).close()


async def _swallow(_message: Message) -> None:
    """Lose a part of the answer."""


def _drop_trailing_slash(scope: Scope) -> None:
    """Salesforce does not mind a slash at the end [recorded]; clients send both forms."""
    if len(scope["path"]) > 1:
        scope["path"] = scope["path"].rstrip("/")


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    return transport


def _reset(scope: Scope) -> None:
    """Drop the connection with a reset instead of an orderly end."""
    transport = _transport(scope)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
