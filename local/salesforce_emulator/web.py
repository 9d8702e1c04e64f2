"""Between starlette and the emulator: one request as plain values, one answer as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from local.salesforce_emulator.errors import SalesforceError

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE = "application/json;charset=UTF-8"  # [recorded]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read completely."""

    method: str
    scheme: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user_id: str = ""

    @property
    def version(self) -> str:
        """The API version of the path, such as ``65.0``."""
        return self.params["version"]

    @property
    def data_path(self) -> str:
        """The root of this version's resources."""
        return f"/services/data/v{self.version}"

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body.

        Raises:
            SalesforceError: 400 JSON_PARSER_ERROR [assumed wording].
        """
        try:
            document = json.loads(self.body or b"{}")
        except ValueError as error:
            raise json_error("The HTTP entity body could not be read as JSON") from error
        if not isinstance(document, dict):
            raise json_error("The HTTP entity body is required to be a JSON object")
        return document

    def answer(
        self, document: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return the document, pretty only where the client asked for it [recorded]."""
        return json_response(document, status, headers, pretty="x-prettyprint" in self.headers)


def json_response(
    document: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    pretty: bool = False,
) -> Response:
    """Return a JSON answer with Salesforce's content type."""
    layout: dict[str, Any] = (
        {"indent": 2, "separators": (",", " : ")} if pretty else {"separators": (",", ":")}
    )
    content = json.dumps(document, ensure_ascii=False, **layout).encode()
    return Response(content, status, headers, media_type=JSON_TYPE)


def json_error(message: str) -> SalesforceError:
    """Return 400 JSON_PARSER_ERROR [documented code, assumed wording]."""
    return SalesforceError(400, "JSON_PARSER_ERROR", message)
