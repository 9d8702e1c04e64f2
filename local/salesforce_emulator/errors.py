"""Salesforce's error bodies, and the exceptions which become them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SalesforceError(Exception):
    """A refusal of the whole request: a status and a one-element error list.

    ``fields`` None leaves the key out: recorded bodies carry ``fields`` for errors found while
    saving a record, and lack it for errors found while reading the request [recorded].
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: tuple[str, ...] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields
        self.extra = extra or {}

    def body(self) -> list[dict[str, object]]:
        """Return the error list as Salesforce sends it."""
        error: dict[str, object] = {
            **self.extra,
            "message": self.message,
            "errorCode": self.code,
        }
        if self.fields is not None:
            error["fields"] = list(self.fields)
        return [error]


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one record of a save was refused."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    def as_save_error(self) -> dict[str, object]:
        """Return the error inside a collections result [documented]."""
        return {
            **self.extra,
            "statusCode": self.code,
            "message": self.message,
            "fields": list(self.fields),
        }

    def as_sf_error(self) -> str:
        """Return the value of the ``sf__Error`` column of a bulk result [captured]."""
        return f"{self.code}:{self.message}:{','.join(self.fields)} --".replace(": --", ":--")

    def as_exception(self, status: int = 400) -> SalesforceError:
        """Return the refusal of a single-record request."""
        fields = None if self.extra else self.fields  # a duplicate has no fields [captured]
        return SalesforceError(status, self.code, self.message, fields, self.extra)


def not_found() -> SalesforceError:
    """Return 404 NOT_FOUND, for an unknown object or path [recorded]."""
    return SalesforceError(404, "NOT_FOUND", "The requested resource does not exist")


def not_emulated(what: str) -> SalesforceError:
    """Return 501: the real Salesforce can do it, this emulator cannot."""
    return SalesforceError(501, "NOT_EMULATED", f"This emulator does not emulate {what}")


def invalid_session() -> SalesforceError:
    """Return 401 for a missing, expired or revoked session [documented]."""
    return SalesforceError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def malformed_id(label: str, value: str) -> RowError:
    """Return the refusal of an Id with a wrong shape, prefix or checksum [recorded]."""
    return RowError("MALFORMED_ID", f"{label} ID: id value of incorrect type: {value}", ("Id",))


def no_such_column(name: str, sobject: str) -> SalesforceError:
    """Return 400 for writing an unknown or invisible field [recorded]."""
    return SalesforceError(
        400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}"
    )
