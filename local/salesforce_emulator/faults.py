"""Faults on demand: deterministic, matched to requests, records or jobs, for a number of times."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from local.salesforce_emulator.errors import RowError, SalesforceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MESSAGES = {
    "UNABLE_TO_LOCK_ROW": "unable to obtain exclusive access to this record or 1 records: {}",
    "ENTITY_IS_DELETED": "entity is deleted",
    "CANNOT_UPDATE_CONVERTED_LEAD": "cannot reference converted lead",
    "INVALID_CROSS_REFERENCE_KEY": "invalid cross reference id",
    "REQUEST_LIMIT_EXCEEDED": "TotalRequests Limit exceeded.",
    "INVALID_SESSION_ID": "Session expired or invalid",  # so far [captured], from here [assumed]
    "QUERY_TIMEOUT": "Your query request was running for too long.",
    "SERVER_UNAVAILABLE": "Server is currently unavailable. Please try again.",
    "UNKNOWN_EXCEPTION": "An unexpected error occurred",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "Unable to create/update fields. Please check the security "
    "settings of this field and verify that it is read/write for your profile or permission set.",
    "INSUFFICIENT_ACCESS_OR_READONLY": "insufficient access rights on object id",
    "DUPLICATES_DETECTED": "Use one of these records?",
    "TXN_SECURITY_METERING_ERROR": "Transaction security policies took too long",
}

OF_REQUESTS = (
    "status", "reset", "reset_after", "expire_session", "truncate", "stall", "drip", "late_commit",
    "bom", "crlf", "nul_bytes", "shuffle_rows", "cut_rows", "repeat_rows", "headers",
)  # fmt: skip
OF_RECORDS = ("row_error",)
OF_PAGES = ("short_page", "lose_locator")
OF_JOBS = ("job_failed", "job_stuck")
ACTIONS = (*OF_REQUESTS, *OF_RECORDS, *OF_PAGES, *OF_JOBS)


@dataclass(slots=True)
class Fault:
    """One order to misbehave.

    ``after`` matches pass first, then ``times`` of them are hit; None hits for ever. With a
    ``probability`` each match is hit or not by chance, the same chance for the same ``seed``.
    ``path_contains`` compares with path and query string as they came, ``object`` is a word of
    them. Orders for records and jobs count these instead of requests. ``seconds`` is how long to
    stall or to stay uncommitted, ``rows`` after how many rows to fail or how many to leave out.
    """

    action: str
    method: str = ""
    path_contains: str = ""
    object: str = ""
    operation: str = ""
    status: int = 500
    body: Any = None
    html: bool = False
    code: str = ""
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    record_ids: frozenset[str] = field(default_factory=frozenset)
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    seed: int = 0
    seconds: float = 1.0
    rows: int = 1
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - repeatable, not a secret

    def matches(self, method: str, path: str) -> bool:
        """Whether a request, or a bulk row, which has no method, is one this fault waits for."""
        return self.method.upper() in ("", method or self.method.upper()) and (
            self.path_contains in path
        )

    def concerns(self, name: str, operation: str) -> bool:
        """Whether the fault waits for this object and operation."""
        return self.object.lower() in ("", name.lower()) and self.operation in ("", operation)

    def take(self) -> bool:
        """Count one match; whether it is hit."""
        if self.after > 0:
            self.after -= 1
            return False
        if self.probability < 1.0 and self.chance.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    @property
    def text(self) -> str:
        """The message of the error, Salesforce's own words where nothing else was ordered."""
        return self.message or MESSAGES.get(self.code, self.code)


class Faults:
    """The orders in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._generation = 0

    def add(self, document: Mapping[str, Any]) -> None:
        """Take an order of the control API.

        Raises:
            SalesforceError: 400, an unknown key or action, or a number that makes no sense.
        """
        values = dict(document)
        values.setdefault("action", "status" if "status" in values or "code" in values else "")
        if values["action"] not in ACTIONS:
            raise _bad_fault(f"action must be one of {', '.join(ACTIONS)}")
        try:
            values["record_ids"] = frozenset(values.pop("ids", ()))
            fault = Fault(**values)
        except TypeError as error:
            raise _bad_fault("unknown key in the fault, or ids that are no list") from error
        _refuse_types(fault)
        _refuse_nonsense(fault)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Withdraw every order."""
        with self._lock:
            self._faults.clear()
            self._generation += 1

    def for_request(self, method: str, path: str) -> Fault | None:
        """Return the fault which hits this request, and count it."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if (
                    fault.action in OF_REQUESTS
                    and fault.matches(method, path)
                    and _names(fault.object, path)
                    and self._take(fault)
                ):
                    return fault
        return None

    def for_record(
        self, method: str, path: str, record_id: str, name: str = "", operation: str = ""
    ) -> RowError | None:
        """Return the error which hits this record of a save, and count it."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if (
                    _waits_for(fault, method, path, record_id)
                    and fault.concerns(name, operation)
                    and self._take(fault)
                ):
                    code = fault.code or "UNABLE_TO_LOCK_ROW"
                    message = fault.message or MESSAGES.get(code, code)
                    return RowError(code, message.replace("{}", record_id))
        return None

    def for_page(self, action: str, path: str) -> Fault | None:
        """Return the fault of that action which hits this page of a query, and count it."""
        return self._first(action, lambda fault: fault.path_contains in path)

    def for_job(self, action: str, name: str, operation: str) -> Fault | None:
        """Return the fault of that action which hits this bulk job, and count it."""
        return self._first(action, lambda fault: fault.concerns(name, operation))

    def _first(self, action: str, waits: Callable[[Fault], bool]) -> Fault | None:
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.action == action and waits(fault) and self._take(fault):
                    return fault
        return None

    @property
    def is_empty(self) -> bool:
        """Whether no order is in force."""
        return not self._faults

    @property
    def generation(self) -> int:
        """A number which changes when the orders are withdrawn; what is stuck then goes on."""
        return self._generation

    def _take(self, fault: Fault) -> bool:
        hit = fault.take()
        if fault.times is not None and fault.times <= 0:
            self._faults.remove(fault)
        return hit


def _bad_fault(message: str) -> SalesforceError:
    return SalesforceError(400, "BAD_FAULT", message)


_NUMBERS = {"after": int, "rows": int, "seed": int, "status": int, "times": int | None}
_FRACTIONS = ("seconds", "probability")
_TEXTS = ("method", "path_contains", "object", "operation", "code", "message")


def _refuse_types(fault: Fault) -> None:
    kinds: dict[str, Any] = {**_NUMBERS, **dict.fromkeys(_FRACTIONS, int | float)}
    kinds |= dict.fromkeys(_TEXTS, str) | {"headers": dict, "html": bool}
    wrong = [name for name, kind in kinds.items() if not isinstance(getattr(fault, name), kind)]
    if wrong or not all(isinstance(each, str) for each in fault.record_ids):
        raise _bad_fault(f"{', '.join(wrong) or 'ids'} cannot be of that type")


def _refuse_nonsense(fault: Fault) -> None:
    if fault.times is not None and fault.times < 1:
        raise _bad_fault("times must be positive, or null for ever")
    if fault.after < 0 or fault.seconds < 0 or fault.rows < 0:
        raise _bad_fault("after, seconds and rows cannot be negative")
    if not 0.0 < fault.probability <= 1.0:
        raise _bad_fault("probability must be above 0 and at most 1")
    if not 200 <= fault.status <= 599:
        raise _bad_fault("status must be an HTTP status from 200 to 599")


def _names(name: str, path: str) -> bool:
    return not name or re.search(rf"\b{re.escape(name)}\b", unquote_plus(path), re.I) is not None


def _waits_for(fault: Fault, method: str, path: str, record_id: str) -> bool:
    of_interest = not fault.record_ids or record_id in fault.record_ids
    return fault.action in OF_RECORDS and of_interest and fault.matches(method, path)
