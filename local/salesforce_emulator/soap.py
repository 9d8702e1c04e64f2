"""SOAP envelopes: XML to plain documents and back, and faults as Salesforce sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.salesforce_emulator.web import Call

PARTNER = "urn:partner.soap.sforce.com"
METADATA = "http://soap.sforce.com/2006/04/metadata"
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_NIL, _TYPE = f"{{{INSTANCE}}}nil", f"{{{INSTANCE}}}type"
TYPE_KEY = "@type"  # where a document keeps its xsi:type


class FaultError(Exception):
    """The call cannot be answered; becomes a SOAP fault with HTTP status 500 [documented]."""

    def __init__(self, code: str, message: str, detail: str = "ApiFault") -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.detail = detail


class Request:
    """One call: the name of the operation, its arguments, the session it brings."""

    def __init__(self, body: bytes) -> None:
        """Read an envelope.

        Raises:
            FaultError: it is none.
        """
        try:
            # From this machine only, and expat refuses entities that grow without end.
            envelope = ET.fromstring(body)  # noqa: S314
        except ET.ParseError as error:
            raise FaultError("UNKNOWN_EXCEPTION", "The request is not XML") from error
        operation = next(iter(envelope.find(f"{{{_ENVELOPE}}}Body") or ()), None)
        if operation is None:
            raise FaultError("UNKNOWN_EXCEPTION", "The envelope has no body")
        self.operation = _local(operation.tag)
        self.arguments: dict[str, Any] = document_of(operation) or {}
        session = envelope.find(f"{{{_ENVELOPE}}}Header//{{*}}sessionId")
        self.session_id = "" if session is None else (session.text or "").strip()


def document_of(element: ET.Element) -> Any:
    """Return an element as text, None or a document; repeated children make a list."""
    if element.get(_NIL) in ("true", "1"):
        return None
    kind = element.get(_TYPE)
    if len(element) == 0 and kind is None:
        return (element.text or "").strip() if element.text else ""
    document: dict[str, Any] = {}
    if kind is not None:
        document[TYPE_KEY] = kind.rpartition(":")[2]
    for child in element:
        _put(document, _local(child.tag), document_of(child))
    return document


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    if key not in document:
        document[key] = value
    elif isinstance(document[key], list):
        document[key].append(value)
    else:
        document[key] = [document[key], value]


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def xml_of(name: str, value: Any) -> str:
    """Return a value as an element: names in order, as schemas want them, fullName first."""
    if isinstance(value, list):
        return "".join(xml_of(name, each) for each in value)
    if value is None:
        return f'<{name} xsi:nil="true"/>'
    if isinstance(value, bool):
        return f"<{name}>{str(value).lower()}</{name}>"
    if not isinstance(value, dict):
        return f"<{name}>{escape(str(value))}</{name}>"
    kind = f' xsi:type="{value[TYPE_KEY]}"' if TYPE_KEY in value else ""
    keys = sorted(value.keys() - {TYPE_KEY}, key=lambda key: (key != "fullName", key))
    inner = "".join(xml_of(key, value[key]) for key in keys)
    return f"<{name}{kind}>{inner}</{name}>"


def answer(namespace: str, operation: str, result: Any) -> Response:
    """Return the response of an operation; each item of a list is a ``result`` of its own."""
    body = f"<{operation}Response>{xml_of('result', result)}</{operation}Response>"
    return _envelope(namespace, body, 200)


def fault(namespace: str, error: FaultError) -> Response:
    """Return a fault; clients read ``sf:exceptionCode`` by exactly this name.

    Its own elements are in no namespace [captured].
    """
    code, message = escape(error.code), escape(error.message)
    body = (
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode>"
        f"<faultstring>{code}: {message}</faultstring><detail>"
        f'<sf:{error.detail} xsi:type="sf:{error.detail}">'
        f"<sf:exceptionCode>{code}</sf:exceptionCode>"
        f"<sf:exceptionMessage>{message}</sf:exceptionMessage></sf:{error.detail}></detail>"
        "</soapenv:Fault>"
    )
    more = {"sf": "urn:fault.partner.soap.sforce.com" if namespace == PARTNER else namespace}
    return _envelope("", body, 500, more)


def _envelope(
    namespace: str, body: str, status: int, more: Mapping[str, str] | None = None
) -> Response:
    names = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in (more or {}).items())
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{_ENVELOPE}"'
        f' xmlns="{namespace}" xmlns:xsi="{INSTANCE}"{names}>'
        f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
    return Response(text.encode(), status, media_type="text/xml; charset=utf-8")


def root_of(call: Call) -> str:
    """Return the scheme, host and port that the client used."""
    return f"{call.scheme}://{call.headers['host']}"
