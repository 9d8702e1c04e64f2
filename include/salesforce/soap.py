"""SOAP for the Metadata API: envelopes around a session id, answers and faults.

Only what REST does not offer: reading the definition of an object or a layout whole, and deploying
one. No client is generated from a WSDL: it would know the elements of its own version only, and a
layout that is written back would lose the others.
"""

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

import requests

from include.domain.errors import OptOutSyncError
from include.salesforce.errors import (
    MissingPermissionError,
    SalesforceRequestError,
    SalesforceUnavailableError,
    SessionExpiredError,
)
from include.salesforce.failures import code_of
from include.salesforce.responses import error_of_code
from include.salesforce.session import SalesforceSession

NAMESPACE: Final = "http://soap.sforce.com/2006/04/metadata"
Element = ET.Element

_ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_HEADERS: Final = {
    "Content-Type": "text/xml; charset=UTF-8",
    "Accept": "text/xml",
    "SOAPAction": '""',
}
_ENDED: Final = "INVALID_SESSION_ID"
_NOT_PERMITTED: Final = frozenset({"INSUFFICIENT_ACCESS", "API_DISABLED_FOR_ORG"})
# an ErrorId for Salesforce's support and nothing else
_PASSING: Final = frozenset({"UNKNOWN_EXCEPTION", "SERVER_UNAVAILABLE"})


def tag(name: str) -> str:
    """Return a name as ElementTree spells it."""
    return f"{{{NAMESPACE}}}{name}"


def element(name: str, *children: Element, text: str | None = None) -> Element:
    """Make an element of the Metadata API."""
    made = ET.Element(tag(name))
    made.text = text
    made.extend(children)
    return made


def leaf(name: str, value: str | bool) -> Element:
    """Make an element that holds a value."""
    return element(name, text=str(value).lower() if isinstance(value, bool) else value)


def text_of(parent: Element, name: str) -> str | None:
    """Return the text of a child, None where there is no such child or it is null."""
    found = parent.find(tag(name))
    return None if found is None or found.get(_NIL) else found.text or ""


def is_null(found: Element) -> bool:
    """Tell whether an element says that there is nothing."""
    return found.get(_NIL) in ("true", "1")


def call(
    session: SalesforceSession, operation: str, arguments: Sequence[Element], *, repeatable: bool
) -> list[Element]:
    """Call an operation of the Metadata API and return its results, in order.

    Raises:
        MissingPermissionError: the user may not use the Metadata API.
        SalesforceUnavailableError: no usable answer.
        SessionExpiredError: the session was refused again after a fresh login.
        ApiLimitError: the org's requests are used up.
        SalesforceRequestError: any other fault.
    """
    for _ in range(2):
        try:
            return _call(session, operation, arguments, repeatable)
        except _SessionEndedError:
            session.renew()  # SOAP answers 500 where REST answers 401
    raise SessionExpiredError("Salesforce refused the session twice, also after a fresh login")


class _SessionEndedError(Exception):
    """Salesforce ended the session: nothing was done."""


def _call(
    session: SalesforceSession, operation: str, arguments: Sequence[Element], repeatable: bool
) -> list[Element]:
    body = element(operation, *arguments)
    response = session.request(
        "POST",
        f"/services/Soap/m/{session.api_version}",
        repeatable=repeatable,
        headers=_HEADERS,
        envelope=lambda session_id: _envelope(session_id, body),
    )
    answer = _parsed(response)
    fault = answer.find(f"{{{_ENVELOPE}}}Body/{{{_ENVELOPE}}}Fault")
    if fault is not None:
        raise _error_of(fault)
    return answer.findall(f"{{{_ENVELOPE}}}Body/*/{tag('result')}")


def _envelope(session_id: str, body: Element) -> bytes:
    header = element("SessionHeader", leaf("sessionId", session_id))
    envelope = ET.Element(f"{{{_ENVELOPE}}}Envelope")
    for name, content in (("Header", header), ("Body", body)):
        ET.SubElement(envelope, f"{{{_ENVELOPE}}}{name}").append(content)
    text: bytes = ET.tostring(envelope, encoding="UTF-8", xml_declaration=True)
    return text


def _parsed(response: requests.Response) -> Element:
    try:
        # From Salesforce alone, over TLS; expat refuses entities that grow without end.
        return ET.fromstring(response.content)  # noqa: S314
    except ET.ParseError:
        raise SalesforceUnavailableError("Salesforce's answer is not XML") from None


def _error_of(fault: Element) -> OptOutSyncError | _SessionEndedError:
    code = code_of((fault.findtext("{*}faultcode") or "").rpartition(":")[2])
    if code == _ENDED:
        return _SessionEndedError("Salesforce ended the session")
    if code in _NOT_PERMITTED:
        return MissingPermissionError(
            "the user of the setup's Connection may not use the Metadata API: give it the "
            "permissions API Enabled and Modify Metadata Through Metadata API Functions"
        )
    if code in _PASSING:
        return SalesforceUnavailableError(f"Salesforce could not finish the request ({code})")
    return error_of_code(code) or SalesforceRequestError(
        f"Salesforce refused the request (HTTP 500, {code})", status=500, code=code
    )
