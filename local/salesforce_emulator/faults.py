"""Faults on demand: deterministic, matched by method and path, each a limited number of times."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.errors import RowError, SalesforceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGES = {  # [captured]
    "UNABLE_TO_LOCK_ROW": "unable to obtain exclusive access to this record or 1 records: {}",
    "ENTITY_IS_DELETED": "entity is deleted",
    "CANNOT_UPDATE_CONVERTED_LEAD": "cannot reference converted lead",
    "INVALID_CROSS_REFERENCE_KEY": "invalid cross reference id",
}

ACTIONS = ("status", "reset", "reset_after", "expire_session", "row_error", "truncate")


@dataclass(slots=True)
class Fault:
    """One order to misbehave.

    ``after`` matching requests pass first, then ``times`` of them are hit. For ``row_error``
    both count records instead of requests.
    """

    action: str
    method: str = ""
    path_contains: str = ""
    status: int = 500
    body: Any = None
    code: str = "UNABLE_TO_LOCK_ROW"
    message: str = ""
    record_ids: frozenset[str] = field(default_factory=frozenset)
    times: int = 1
    after: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether a request, or a bulk row, which has no method, is one this fault waits for."""
        return self.method.upper() in ("", method or self.method.upper()) and (
            self.path_contains in path
        )

    def take(self) -> bool:
        """Count one match; whether it is hit."""
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Faults:
    """The orders in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, document: Mapping[str, Any]) -> None:
        """Take an order of the control API.

        Raises:
            SalesforceError: 400, an unknown key or action.
        """
        values = dict(document)
        values.setdefault("action", "status" if "status" in values else "")
        values["record_ids"] = frozenset(values.pop("ids", ()))
        if values["action"] not in ACTIONS:
            raise SalesforceError(400, "BAD_FAULT", f"action must be one of {', '.join(ACTIONS)}")
        try:
            fault = Fault(**values)
        except TypeError as error:
            raise SalesforceError(400, "BAD_FAULT", "unknown key in the fault") from error
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Withdraw every order."""
        with self._lock:
            self._faults.clear()

    def for_request(self, method: str, path: str) -> Fault | None:
        """Return the fault which hits this request, and count it."""
        with self._lock:
            for fault in self._faults:
                if (
                    fault.action != "row_error"
                    and fault.matches(method, path)
                    and self._take(fault)
                ):
                    return fault
        return None

    def for_record(self, method: str, path: str, record_id: str) -> RowError | None:
        """Return the error which hits this record of a save, and count it."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if _waits_for(fault, method, path, record_id) and self._take(fault):
                    return RowError(fault.code, fault.message or _message(fault.code, record_id))
        return None

    def _take(self, fault: Fault) -> bool:
        hit = fault.take()
        if fault.times <= 0:
            self._faults.remove(fault)
        return hit


def _message(code: str, record_id: str) -> str:
    return _MESSAGES.get(code, code).format(record_id)


def _waits_for(fault: Fault, method: str, path: str, record_id: str) -> bool:
    of_interest = not fault.record_ids or record_id in fault.record_ids
    return fault.action == "row_error" and of_interest and fault.matches(method, path)
