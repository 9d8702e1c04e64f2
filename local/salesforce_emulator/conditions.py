"""Conditional requests: by time for every record, by ETag for Accounts alone [documented]."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING

from starlette.responses import Response

from local.salesforce_emulator.clock import from_stored
from local.salesforce_emulator.errors import RowError, SalesforceError

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.web import Call


def header_time(call: Call, name: str) -> datetime | None:
    """Return the time of a header; an unreadable one is refused [documented status].

    Raises:
        SalesforceError: 400, it is not an HTTP date [assumed body].
    """
    header = call.headers.get(name)
    if header is None:
        return None
    try:
        at = parsedate_to_datetime(header)
    except ValueError as error:
        title = name.title()
        raise SalesforceError(400, "INVALID_HEADER", f"{title} is not an HTTP date") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def check_unmodified(modified_at: str | None, since: datetime | None) -> None:
    """Refuse a record that changed after ``since``, to the whole second [documented].

    Raises:
        SalesforceError: 412 [documented status, assumed body].
    """
    if since is not None and modified_at is not None and from_stored(modified_at) > since:
        raise _failed("The record was modified since the given date")


def check_tags(call: Call, object_type: ObjectType, tag: str) -> None:
    """Refuse an Account that is not the one the client knows.

    Raises:
        SalesforceError: 412 [documented status, assumed body].
    """
    wanted = call.headers.get("if-match")
    if object_type.name == "Account" and wanted is not None and not _lists(wanted, tag):
        raise _failed("The record does not match the given ETag")


def not_modified(call: Call, object_type: ObjectType, modified_at: str) -> Response | None:
    """Return 304 where the client has the record as it is [documented]."""
    since, tag = header_time(call, "if-modified-since"), entity_tag(modified_at)
    known = call.headers.get("if-none-match")
    is_known = object_type.name == "Account" and known is not None and _lists(known, tag)
    if is_known or (since is not None and from_stored(modified_at) <= since):
        return Response(status_code=304, headers=headers_of(object_type, modified_at))
    return None


def headers_of(object_type: ObjectType, modified_at: str) -> dict[str, str]:
    """Return the headers that a client sends back to ask again."""
    headers = {"Last-Modified": format_datetime(from_stored(modified_at), usegmt=True)}
    if object_type.name == "Account":
        headers["ETag"] = entity_tag(modified_at)
    return headers


def entity_tag(text: str) -> str:
    """Return a tag of eight characters, shaped as recorded: ``"baf7f695"``."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:8]}"'


def _lists(header: str, tag: str) -> bool:
    tags = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in tags or tag in tags


def _failed(message: str) -> SalesforceError:
    return RowError("PRECONDITION_FAILED", message).as_exception(412)
