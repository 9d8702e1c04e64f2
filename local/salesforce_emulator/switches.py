"""The control API's switches: clock, latency, options, listeners; and the journal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import clock, latency
from local.salesforce_emulator.control_input import bad_request, required

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call


_MOST_SECONDS = 10 * 365 * 86_400


def newest_requests(org: Org, call: Call) -> Response:
    """``GET journal``: the newest requests, oldest first."""
    return call.answer({"requests": org.journal.newest()})


def set_clock(_org: Org, call: Call) -> Response:
    """``POST clock``: the org's clock goes wrong by so many seconds, its HTTP dates too."""
    seconds = required(call.json(), "offset_seconds", (int, float))
    if not abs(seconds) <= _MOST_SECONDS:
        raise bad_request("offset_seconds must be within ten years")
    clock.set_offset(timedelta(seconds=seconds))
    return call.answer({"now": clock.exact_now().isoformat()})


def set_options(org: Org, call: Call) -> Response:
    """``POST options``: ``latency``, ``gzip``, ``shuffle_unordered``, ``unchanged_saves_stamp``."""
    document = call.json()
    unknown = sorted(document.keys() - _OPTIONS.keys())
    if unknown:
        raise bad_request(f"there is no option {', '.join(unknown)}")
    for name, value in document.items():
        setattr(org.options, name, _OPTIONS[name](document, name, value))
    return call.answer({"status": "ok"})


def _flag(document: dict[str, Any], name: str, _value: object) -> bool:
    return bool(required(document, name, bool))


def _seed(document: dict[str, Any], name: str, value: object) -> int | None:
    return None if value is None else int(required(document, name, int))


_OPTIONS: dict[str, Callable[[dict[str, Any], str, object], object]] = {
    "latency": lambda _document, _name, value: latency.profile(value),
    "gzip": _flag,
    "shuffle_unordered": _seed,
    "unchanged_saves_stamp": _flag,
    "row_contention": _flag,
    "deploy_polls": lambda document, name, _value: int(required(document, name, int)),
}


def limit_sessions(org: Org, call: Call) -> Response:
    """``POST sessions``: how long a session lives without being used, from now on."""
    seconds = required(call.json(), "lifetime_seconds", (int, float))
    if seconds <= 0:
        raise bad_request("lifetime_seconds must be above 0")
    org.sessions.lifetime_seconds = float(seconds)
    return call.answer({"status": "ok"})


def refuse_connections(org: Org, call: Call) -> Response:
    """``POST refuse``: both ports are closed for so many seconds, the control API's too."""
    seconds = required(call.json(), "seconds", (int, float))
    if not 0 < seconds <= 600:
        raise bad_request("seconds must be above 0 and at most 600")
    org.doors.close_for(seconds)
    return call.answer({"status": "ok"})


ROUTES: tuple[tuple[str, str, Callable[[Org, Call], Response]], ...] = (
    ("GET", "/journal", newest_requests),
    ("POST", "/clock", set_clock),
    ("POST", "/options", set_options),
    ("POST", "/refuse", refuse_connections),
    ("POST", "/sessions", limit_sessions),
)
