"""Clears the opt-outs of one record, if nobody touched it since it was read.

A clear can undo what somebody ticks in the same moment, so it is one conditional request, sent
once. `If-Unmodified-Since` counts whole seconds: it narrows the race and does not close it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import pandas as pd

from include.domain.values import FailureClass, SalesforceObject
from include.salesforce.collections import WRITE_HEADERS, Collections
from include.salesforce.errors import (
    FieldNotVisibleError,
    SalesforceRequestError,
    SalesforceUnavailableError,
)
from include.salesforce.failures import (
    CHANGED_SINCE_READ,
    INVALID_FIELD,
    NOT_FOUND,
    REPLY_LOST,
    explain,
)
from include.salesforce.person_accounts import ACCOUNT, account_code, account_field
from include.salesforce.records import checked_field
from include.salesforce.session import SalesforceSession

_PRECONDITION_FAILED: Final = 412
# refusals of this record; any other one is of the request, so it would hit every record
_OF_THE_RECORD: Final = frozenset({400, 403, 404})


@dataclass(frozen=True, slots=True)
class ClearOutcome:
    """What became of a clear; class, code and fix are null unless it failed."""

    succeeded: bool
    failure_class: FailureClass | None = None
    code: str | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """One record and the flags to clear on it; on its Account, where that is a person account."""

    session: SalesforceSession
    obj: SalesforceObject
    record_id: str
    account_id: str | None
    fields: tuple[str, ...]

    def send(self, unmodified_since: datetime) -> ClearOutcome:
        """Send the one request and return its outcome; see `client`."""
        code = self._code(unmodified_since)
        if code is None:
            return ClearOutcome(succeeded=True)
        failure = explain(account_code(code) if self.account_id else code)
        return ClearOutcome(False, failure.failure_class, failure.code, failure.fix)

    def _code(self, unmodified_since: datetime) -> str | None:
        """Send; returns why it was rejected, null when it was not."""
        try:
            self._patch(unmodified_since)
        except FieldNotVisibleError:
            return INVALID_FIELD
        except SalesforceRequestError as error:
            return _code_of_refusal(error)
        except SalesforceUnavailableError as error:
            if not error.was_sent:
                raise
            return self._code_after_lost_reply(error.code or REPLY_LOST)
        return None

    def _patch(self, unmodified_since: datetime) -> None:
        path, names = f"{self.obj.value}/{self.record_id}", self.fields
        if self.account_id:
            # a person account and its Contact are modified together, so one time serves both
            path, names = f"{ACCOUNT}/{self.account_id}", tuple(map(account_field, self.fields))
        self.session.request(
            "PATCH",
            f"sobjects/{path}",
            repeatable=False,
            headers={**WRITE_HEADERS, "If-Unmodified-Since": http_date(unmodified_since)},
            json=dict.fromkeys(names, False),
        )

    def _code_after_lost_reply(self, code: str) -> str | None:
        """Ask the record itself: a second clear could undo an opt-out made in between."""
        asked = pd.Series([self.record_id], dtype="str")
        flags = Collections(self.session, self.obj.value).read(asked, self.fields).iloc[0, 1:]
        if flags.isna().any():
            return NOT_FOUND
        return code if flags.any() else None


def http_date(instant: datetime) -> str:
    """Return an instant as HTTP writes it: whole seconds, GMT.

    Raises:
        ValueError: it has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("a time without a zone says nothing about when a record was read")
    return format_datetime(instant.astimezone(UTC), usegmt=True)


def checked_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the fields to clear.

    Raises:
        ValueError: there are none.
        InvalidFieldNameError: one is not an API name.
    """
    if not fields:
        raise ValueError("a clear without fields")
    return tuple(checked_field(each) for each in fields)


def _code_of_refusal(error: SalesforceRequestError) -> str:
    # the body of this answer is not documented: the status alone says it
    if error.status == _PRECONDITION_FAILED:
        return CHANGED_SINCE_READ
    if error.status not in _OF_THE_RECORD:
        raise error
    return error.code
