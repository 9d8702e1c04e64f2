"""The guard in front of every page: who is it, what may they do, and does the form come from us?

A middleware and not a dependency of routes: it also covers what has no route, such as files,
mounted applications and addresses that do not exist. Whatever it cannot tell it refuses.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
POLICY_VIOLATION: Final = 1008  # code of a closed web socket


class Right(StrEnum):
    """What a visitor may do beside looking at pages."""

    EDIT = "edit"
    SEE_ADDRESSES = "see addresses"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in to Airflow and may read.

    Attributes:
        name: as Airflow knows them; stands beside whatever they change.
        rights: what else they may do.
        has_ambient_login: the browser sent their login by itself (a cookie), so another site can
            have made it do so.
    """

    name: str
    rights: Collection[Right] = field(default_factory=frozenset)
    has_ambient_login: bool = True

    def may(self, right: Right) -> bool:
        """Tell whether the visitor has a right."""
        return right in self.rights


class NoEntryError(Exception):
    """Why a request is refused, in words for the person, and the HTTP status."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


SignIn = Callable[[Request], Awaitable[Visitor]]
"""Names the visitor of a request; raises `NoEntryError` for nobody and for who may not read."""


class Guard:
    """Lets signed-in readers in; changes need the right to edit and a form of our own.

    Args:
        app: what is guarded.
        sign_in: tells who it is.
        rights: by path below the mount, the right that a change there needs instead of `EDIT`.
        own_hosts: `host[:port]` that our pages are reached at, beside the one a request names.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sign_in: SignIn,
        rights: dict[str, Right | None],
        own_hosts: Callable[[], Collection[str]],
    ) -> None:
        self.app = app
        self.sign_in = sign_in
        self.rights = rights
        self.own_hosts = own_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or refuse it; a web socket is always refused."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            visitor = await self.sign_in(request)
            if scope["method"] not in SAFE_METHODS:
                self._require_own_form(request, visitor)
                self._require_right(request, visitor)
        except NoEntryError as refusal:
            await _refused(refusal)(scope, receive, send)
            return
        scope.setdefault("state", {})["visitor"] = visitor
        await self.app(scope, receive, send)

    def _require_own_form(self, request: Request, visitor: Visitor) -> None:
        """Refuse a form of another site: the browser would send the visitor's login with it."""
        if not visitor.has_ambient_login:
            return
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        hosts = {request.headers.get("host", ""), *self.own_hosts()}
        is_ours = site == "same-origin" if origin is None else urlsplit(origin).netloc in hosts
        if not is_ours or site not in {None, "same-origin"}:
            raise NoEntryError(
                HTTPStatus.FORBIDDEN, "This form was not sent from a page of the opt-out sync."
            )

    def _require_right(self, request: Request, visitor: Visitor) -> None:
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        right = self.rights.get(path, Right.EDIT)
        if right is not None and not visitor.may(right):
            raise NoEntryError(
                HTTPStatus.FORBIDDEN, f"You may read this, but your role may not {right}."
            )


def visitor_of(request: Request) -> Visitor:
    """Return whom the guard let in."""
    visitor: Visitor = request.state.visitor
    return visitor


def _refused(refusal: NoEntryError) -> HTMLResponse:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>No entry</title>'
        f"<main><h1>No entry</h1><p>{refusal}</p></main></html>"
    )
    return HTMLResponse(page, refusal.status, headers={"Cache-Control": "no-store"})
