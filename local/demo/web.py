"""JSON over HTTP to the processes of the demo, on this machine only."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

# A proxy of the company is no way to this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HttpError(Exception):
    """The other side refused; carries its status and what it said."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status = status


class NotReachableError(Exception):
    """Nobody answers there (yet)."""


def call(
    method: str,
    url: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> Any:
    """Send a JSON document, return the JSON document that comes back (None for an empty one)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - the address is ours
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    try:
        with _OPENER.open(request, timeout=timeout) as reply:
            text = reply.read()
    except urllib.error.HTTPError as error:
        raise HttpError(error.code, error.read().decode(errors="replace")) from error
    except OSError as error:
        raise NotReachableError(f"{url} does not answer") from error
    return json.loads(text) if text else None
