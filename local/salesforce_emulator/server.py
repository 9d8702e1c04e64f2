"""One process, one loop, two ports: the same application over plain HTTP and over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from local.salesforce_emulator.misbehaviour import TRANSPORT
from local.salesforce_emulator.spelling import SpellingTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.salesforce_emulator.certificates import Certificates
    from local.salesforce_emulator.doors import Doors
    from local.salesforce_emulator.middleware import Edge

LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_REPLY_SECONDS = 0.05


class PortTakenError(Exception):
    """Somebody else listens on the port, or this machine has no such address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} of {host} is in use; choose another one.")


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the application, which may have to break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(SpellingTransport(transport))  # type: ignore[arg-type]

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {TRANSPORT: {"transport": self.transport}}
        self.scope["extensions"] = extensions


class _Server(uvicorn.Server):
    """Leaves signals to ``serve``, which has two servers to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def refuse(self, seconds: float) -> None:
        """Close the port and every idle connection to it for a while: new ones are refused."""
        await asyncio.sleep(_REPLY_SECONDS)  # the order's own answer leaves first
        places = [server.sockets[0].getsockname() for server in self.servers]
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(seconds)
        self.servers = [await self._open(listen(port, host)) for host, port in places]

    async def _open(self, listener: socket.socket) -> asyncio.Server:
        """Open the port as uvicorn did when it started."""

        def protocol() -> asyncio.Protocol:
            return _Protocol(
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )

        loop = asyncio.get_running_loop()
        return await loop.create_server(protocol, sock=listener, ssl=self.config.ssl)


def listen(port: int, host: str = LOOPBACK) -> socket.socket:
    """Return a socket bound to the port, on loopback unless told otherwise.

    Raises:
        PortTakenError: it is in use.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTakenError(host, port) from error
    return listener


def serve(
    app: Edge,
    doors: Doors,
    http: socket.socket,
    tls: socket.socket,
    certificates: Certificates,
) -> None:
    """Serve until SIGTERM or SIGINT, then end cleanly."""
    plain = _Server(_config(app))
    secure = _Server(
        _config(
            app,
            ssl_certfile=str(certificates.server),
            ssl_keyfile=str(certificates.server_key),
        )
    )
    with asyncio.Runner(loop_factory=plain.config.get_loop_factory()) as runner:
        runner.run(_run(((plain, http), (secure, tls)), doors))


def _config(app: Edge, **tls: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        lifespan="off",
        log_level="warning",
        access_log=False,
        date_header=False,  # the edge writes it, by the org's clock
        timeout_graceful_shutdown=2,
        **tls,  # type: ignore[arg-type]
    )


async def _run(servers: tuple[tuple[_Server, socket.socket], ...], doors: Doors) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    def close_for(seconds: float) -> None:
        for server, _ in servers:
            asyncio.run_coroutine_threadsafe(server.refuse(seconds), loop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    doors.hang(close_for)
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))
