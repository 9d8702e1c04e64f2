"""How a request goes wrong on its way: refused, lost, late, cut or altered."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from starlette.responses import Response

from local.salesforce_emulator import clock
from local.salesforce_emulator.altered_bodies import altered
from local.salesforce_emulator.errors import invalid_session
from local.salesforce_emulator.sessions import token_of
from local.salesforce_emulator.web import json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.salesforce_emulator.faults import Fault
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.spelling import SpellingTransport

    Act = Callable[["Accident"], Awaitable[None]]

TRANSPORT = "emulator.transport"  # the key under which server.py hands over the connection
_NO_LINGER = struct.pack("ii", 1, 0)
_DRIP_BYTES = 64
_EMPTY = (406, 414)  # answered without a body [captured]


class Accident:
    """One request and the fault which hits it."""

    def __init__(
        self, app: ASGIApp, org: Org, fault: Fault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._org = org
        self._fault = fault
        self._scope = scope
        self._receive = receive
        self._send = send

    async def happen(self) -> None:
        """Answer the request as the fault wants it, or not at all."""
        act = _ACTS.get(self._fault.action)
        await (act(self) if act else self._alter())

    async def _reset(self) -> None:
        _drop(self._scope)

    async def _reset_after(self) -> None:
        await self._app(self._scope, self._receive, _swallow)
        _drop(self._scope)

    async def _refuse(self) -> None:
        await _refusal(self._fault)(self._scope, self._receive, self._send)

    async def _expire(self) -> None:
        self._org.sessions.revoke(token_of(_headers(self._scope)))
        response = json_response(invalid_session().body(), 401)
        await response(self._scope, self._receive, self._send)

    async def _stall(self) -> None:
        """Keep silent for a while, then answer as if nothing had been: it was done at once."""
        messages = await self._answer()
        await asyncio.sleep(self._fault.seconds)
        for message in messages:
            await self._send(message)

    async def _commit_late(self) -> None:
        """Stamp what the request saves with the time it came, and save it later."""
        with clock.frozen():
            await asyncio.sleep(self._fault.seconds)
            await self._app(self._scope, self._receive, self._send)

    async def _truncate(self) -> None:
        """Send half of the body the headers promise, then close."""
        start, body = await self._whole_answer()
        await self._send(start)
        half = body[: len(body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(self._scope).close()

    async def _drip(self) -> None:
        """Send the body in small pieces over ``seconds``."""
        start, body = await self._whole_answer()
        await self._send(start)
        pieces = [body[at : at + _DRIP_BYTES] for at in range(0, len(body), _DRIP_BYTES)]
        for piece in pieces:
            await asyncio.sleep(self._fault.seconds / len(pieces))
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _alter(self) -> None:
        start, body = await self._whole_answer()
        headers = dict(start["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        if start["status"] < 300:
            body = altered(body, content_type, self._fault)
        if b"content-length" in headers:
            headers[b"content-length"] = str(len(body)).encode()
        start["headers"] = _reordered(headers, self._fault.headers)
        _transport(self._scope).spelling = {
            name.lower().encode(): name.encode() for name in self._fault.headers
        }
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    async def _answer(self) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(self._scope, self._receive, keep)
        return messages

    async def _whole_answer(self) -> tuple[Message, bytes]:
        messages = await self._answer()
        return messages[0], b"".join(message.get("body", b"") for message in messages)


_ACTS: Mapping[str, Act] = {
    "reset": Accident._reset,
    "reset_after": Accident._reset_after,
    "status": Accident._refuse,
    "expire_session": Accident._expire,
    "stall": Accident._stall,
    "late_commit": Accident._commit_late,
    "truncate": Accident._truncate,
    "drip": Accident._drip,
}


def _refusal(fault: Fault) -> Response:
    """Return the ordered answer; without an ordered body what Salesforce sends with the status."""
    headers = fault.headers or None
    if isinstance(fault.body, str):
        return Response(fault.body, fault.status, headers, media_type="text/html")
    if fault.body is not None:
        return json_response(fault.body, fault.status, headers)
    if fault.status in _EMPTY:
        return Response(b"", fault.status, headers)
    if fault.html or fault.status == 420:
        page = f"<html><body><h1>{fault.text or 'We are setting things up'}</h1></body></html>"
        return Response(page, fault.status, headers, media_type="text/html")
    error = {"message": fault.text or "An unexpected error occurred"}
    return json_response(
        [error | {"errorCode": fault.code or "UNKNOWN_EXCEPTION"}], fault.status, headers
    )


def _reordered(
    headers: dict[bytes, bytes], ordered: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    """Return the headers with the ordered ones in place.

    The value ``*`` keeps the answer's own value, so that an order can change the spelling alone.
    """
    kept = dict(headers)
    for name, value in ordered.items():
        own = kept.pop(name.lower().encode(), b"")
        kept[name.encode()] = own if value == "*" else value.encode()
    return list(kept.items())


async def _swallow(_message: Message) -> None:
    """Lose a part of the answer."""


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _transport(scope: Scope) -> SpellingTransport:
    transport: SpellingTransport = scope["extensions"][TRANSPORT]["transport"]
    return transport


def _drop(scope: Scope) -> None:
    """Drop the connection with a reset instead of an orderly end."""
    transport = _transport(scope)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
