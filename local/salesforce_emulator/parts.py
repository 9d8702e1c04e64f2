"""Requests inside requests: each part is answered as if it had come alone, on the same session."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.datastructures import Headers

from local.salesforce_emulator import routes
from local.salesforce_emulator.errors import SalesforceError, not_found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_INHERITED = ("sforce-auto-assign", "sforce-duplicate-rule-header", "sforce-call-options")


class PartAnswerer:
    """Answers the parts of composite requests."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def __call__(
        self, call: Call, method: str, url: str, body: Any, headers: Mapping[str, str]
    ) -> Response:
        """Answer one part; what is wrong with it is its answer, not that of the whole."""
        split = urlsplit(url)
        path = unquote(split.path).rstrip("/")
        inherited = {name: call.headers[name] for name in _INHERITED if name in call.headers}
        part = replace(
            call,
            method=method.upper(),
            path=path,
            query=dict(parse_qsl(split.query, keep_blank_values=True)),
            headers=Headers({**inherited, "host": call.headers["host"], **headers}),
            body=b"" if body is None else json.dumps(body).encode(),
        )
        try:
            found = routes.find(part.method, path)
            if found is None:
                raise not_found()
            handler, params = found
            return handler(self._org, replace(part, params=params))
        except SalesforceError as error:
            return part.answer(error.body(), error.status)
