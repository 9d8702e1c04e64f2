"""Infos and refusals of Bulk API 1.0 as JSON or XML, with the keys and in the order recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from starlette.responses import Response

from local.salesforce_emulator.clock import to_rest
from local.salesforce_emulator.soap import document_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.salesforce_emulator.web import Call

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
JSON_TYPE, XML_TYPE, CSV_TYPE = "application/json", "application/xml", "text/csv"


class RefusedError(Exception):
    """The request cannot be answered: a code and a message [documented]."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


def wants_json(call: Call) -> bool:
    """Whether the client speaks JSON; XML is what Salesforce answers without a word [documented].

    A GET has no body, yet clients say the type of all their bodies in it.
    """
    said = call.headers.get("content-type", "") + call.headers.get("accept", "")
    return "json" in said


def document(call: Call) -> dict[str, Any]:
    """Return the info in the body, JSON or XML.

    Raises:
        RefusedError: it is neither [documented code].
    """
    try:
        found = json.loads(call.body) if wants_json(call) else _xml_document(call.body)
    except (ValueError, ET.ParseError) as error:
        raise RefusedError("InvalidEntity", "The request cannot be read") from error
    if not isinstance(found, dict):
        raise RefusedError("InvalidEntity", "The request is not an info")
    return found


def _xml_document(body: bytes) -> Any:
    return document_of(ET.fromstring(body))  # noqa: S314 - see soap.py


def info(name: str, values: Mapping[str, Any], status: int, *, as_json: bool) -> Response:
    """Return one info: in XML without what is empty [recorded], in JSON by the alphabet."""
    if as_json:
        shown = {key: _json_value(values[key]) for key in sorted(values)}
        return _answer(json.dumps(shown, separators=(",", ":")), status, JSON_TYPE)
    return _answer(_HEAD + _xml(name, values, f' xmlns="{NAMESPACE}"', "\n   "), status, XML_TYPE)


def infos(name: str, values: Sequence[Mapping[str, Any]], *, as_json: bool) -> Response:
    """Return a list of infos."""
    if as_json:
        shown = [{key: _json_value(each[key]) for key in sorted(each)} for each in values]
        return _answer(json.dumps({name: shown}, separators=(",", ":")), 200, JSON_TYPE)
    inner = "".join(f" {_xml(name, each)}\n" for each in values)
    text = f'<{name}List\n   xmlns="{NAMESPACE}">\n{inner}</{name}List>'
    return _answer(_HEAD + text, 200, XML_TYPE)


def refusal(error: RefusedError, *, as_json: bool) -> Response:
    """Return a refusal [captured keys]."""
    values = {"exceptionCode": error.code, "exceptionMessage": error.message}
    if as_json:
        return _answer(json.dumps(values, separators=(",", ":")), error.status, JSON_TYPE)
    text = _HEAD + _xml("error", values, f' xmlns="{NAMESPACE}"', "\n   ")
    return _answer(text, error.status, XML_TYPE)


def content(body: str | bytes, kind: str) -> Response:
    """Return data as it is."""
    return _answer(body, 200, kind)


_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def _answer(body: str | bytes, status: int, kind: str) -> Response:
    return Response(body, status, headers={"Content-Type": kind})  # no charset [recorded]


def _xml(name: str, values: Mapping[str, Any], attributes: str = "", between: str = "") -> str:
    lines = "".join(
        f"\n <{key}>{escape(_text(value))}</{key}>"
        for key, value in values.items()
        if value is not None
    )
    return f"<{name}{between}{attributes.strip() if between else attributes}>{lines}\n</{name}>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_value(value: Any) -> Any:
    """Return a value as JSON has it: times in the form of REST, the version a number."""
    if isinstance(value, str) and value.endswith(".000Z"):
        return to_rest(value)
    return value
