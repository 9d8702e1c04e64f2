"""Header names as Salesforce writes them: uvicorn would write all of them in small letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_STATUS_LINE = b"HTTP/1."
_ODD = {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}


class SpellingTransport:
    """A transport which spells the header names of each answer.

    ``spelling`` overrides names, in small letters, for the next answer only.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.spelling: dict[bytes, bytes] = {}

    def write(self, data: bytes) -> None:
        """Send bytes; those which start an answer get their header names spelled."""
        if data.startswith(_STATUS_LINE):
            head, end, body = data.partition(b"\r\n\r\n")
            status, *lines = head.split(b"\r\n")
            data = b"\r\n".join([status, *map(self._spelled, lines)]) + end + body
            self.spelling = {}
        self._transport.write(data)

    def _spelled(self, line: bytes) -> bytes:
        name, colon, value = line.partition(b":")
        usual = _ODD.get(name) or name.title()
        return self.spelling.get(name, usual) + colon + value

    def __getattr__(self, name: str) -> Any:
        """Return everything else as the transport itself has it."""
        return getattr(self._transport, name)
