"""``deploy()``: an archive of components, saved together or not at all.

Deploys happen one after the other [documented]: at once here, or once their status was asked for as
often as ``deploy_polls`` says [assumed]. Destructive changes, tests and roll-back on error switched
off are not emulated.
"""

from __future__ import annotations

import base64
import binascii
import io
import threading
import zipfile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from local.salesforce_emulator.ids import make_id
from local.salesforce_emulator.metadata.components import Component, ComponentError, as_list, typed
from local.salesforce_emulator.metadata.kinds import FOLDERS, KINDS
from local.salesforce_emulator.soap import FaultError, document_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.salesforce_emulator.org import Org

_PREFIX = "0Af"  # [documented]


class Deploys:
    """The deploys of this process: those in the queue, and what became of the others."""

    def __init__(self) -> None:
        self._results: dict[str, dict[str, Any]] = {}
        self._queue: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = {}
        self._lock = threading.RLock()

    def add(self, run: Callable[[], dict[str, Any]], polls: int) -> str:
        """Queue a deploy, behind which those before it have happened, and return its Id."""
        with self._lock:
            for each in list(self._queue):
                self._run(each)
            deploy_id = make_id(_PREFIX, len(self._results) + 1)
            self._queue[deploy_id] = (polls, run)
            if polls == 0:
                self._run(deploy_id)
        return deploy_id

    def look(self, deploy_id: str) -> dict[str, Any]:
        """Return what became of a deploy, or that it waits; each look brings it forward.

        Raises:
            FaultError: there was no such deploy.
        """
        with self._lock:
            if deploy_id in self._queue:
                polls, run = self._queue[deploy_id]
                self._queue[deploy_id] = (polls - 1, run)
                if polls > 0:
                    return {"done": False, "id": deploy_id, "status": "Pending", "success": False}
                self._run(deploy_id)
            found = self._results.get(deploy_id)
        if found is None:
            raise FaultError("INVALID_ID_FIELD", f"invalid parameter value: {deploy_id}")
        return found

    def forget_queue(self) -> None:
        """Let nothing that waits happen any more."""
        with self._lock:
            self._queue.clear()

    def _run(self, deploy_id: str) -> None:
        _, run = self._queue.pop(deploy_id)
        self._results[deploy_id] = {**run(), "id": deploy_id}


def start(org: Org, user_id: str, arguments: dict[str, Any]) -> Any:
    """Deploy an archive and return where to ask for its status."""
    components = _components(arguments)
    options = typed(arguments.get("DeployOptions") or {})
    check_only = options.get("checkOnly") is True

    def run() -> dict[str, Any]:
        saved, failures = _save(org, user_id, components, check_only=check_only)
        return _result(components, saved, failures, check_only=check_only)

    deploy_id = org.deploys.add(run, org.options.deploy_polls)
    return {"done": False, "id": deploy_id, "state": "Queued"}


def status(org: Org, _user_id: str, arguments: dict[str, Any]) -> Any:
    """Return the result of a deploy, or that it waits."""
    given = arguments.get("asyncProcessId") or arguments.get("id")
    return org.deploys.look(str(given))


def _components(arguments: dict[str, Any]) -> list[tuple[str, Component]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(str(arguments.get("ZipFile")))))
    except (binascii.Error, zipfile.BadZipFile) as error:
        raise FaultError("INVALID_OPERATION", "The zip file cannot be read") from error
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if not any(name.endswith("package.xml") for name in names):
        raise FaultError("INVALID_OPERATION", "No package.xml found")  # [documented]
    found = [each for name in names for each in _of_file(name, archive.read(name))]
    order = list(_ORDER)
    return sorted(found, key=lambda each: order.index(each[0]))


_ORDER = ("CustomObject", "CustomField", "Layout", "PermissionSet")


def _of_file(path: str, content: bytes) -> list[tuple[str, Component]]:
    """Return the components of one file; an object's fields are components of their own."""
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    kind = next((name for name, (_, own) in FOLDERS.items() if own == ending), None)
    if kind is None:
        return []
    try:
        component = typed(document_of(ET.fromstring(content)))  # noqa: S314 - see soap.py
    except ET.ParseError as error:
        raise FaultError("INVALID_OPERATION", f"{path} is not XML") from error
    component = {**(component or {}), "fullName": stem}
    if kind != "CustomObject":
        return [(kind, component)]
    fields = as_list(component.pop("fields", None))
    return [(kind, component)] + [
        ("CustomField", {**field, "fullName": f"{stem}.{field['fullName']}"}) for field in fields
    ]


def _save(
    org: Org, user_id: str, components: list[tuple[str, Component]], *, check_only: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Save everything; where something is refused, or it was a check, nothing stays.

    Returns what was saved and what was refused, as a deploy tells it.
    """
    saved, failures = [], []
    try:
        with org.database.write():
            for kind, component in components:
                told = {"componentType": kind, "fullName": component["fullName"]}
                try:
                    created = _save_one(org, user_id, kind, component)
                except ComponentError as error:
                    problem = {"problem": error.error.message, "problemType": "Error"}
                    failures.append({**told, **problem, "success": False})
                else:
                    saved.append({**told, "changed": True, "created": created, "success": True})
            if failures or check_only:
                raise _RollbackError
    except _RollbackError:
        org.reload()
    return saved, failures


class _RollbackError(Exception):
    """Leaves the transaction so that nothing of it stays."""


def _save_one(org: Org, user_id: str, kind_name: str, component: Component) -> bool:
    """Save a component; whether it is new."""
    kind = KINDS[kind_name]
    is_new = kind.read(org, str(component["fullName"])) is None
    (kind.create if is_new else kind.update)(org, user_id, component)
    return is_new


def _result(
    components: list[tuple[str, Component]],
    saved: list[dict[str, Any]],
    failures: list[dict[str, Any]],
    *,
    check_only: bool,
) -> dict[str, Any]:
    return {
        "checkOnly": check_only,
        "details": {
            "componentFailures": [_with_file(each) for each in failures],
            "componentSuccesses": [] if failures else [_with_file(each) for each in saved],
        },
        "done": True,
        "numberComponentErrors": len(failures),
        "numberComponentsDeployed": 0 if failures else len(components),
        "numberComponentsTotal": len(components),
        "numberTestErrors": 0,
        "numberTestsCompleted": 0,
        "numberTestsTotal": 0,
        "rollbackOnError": True,
        "status": "Failed" if failures else "Succeeded",
        "success": not failures,
    }


def _with_file(told: dict[str, Any]) -> dict[str, Any]:
    folder, ending = FOLDERS.get(told["componentType"], FOLDERS["CustomObject"])
    stem = told["fullName"].partition(".")[0] if folder == "objects" else told["fullName"]
    return {**told, "fileName": f"{folder}/{stem}.{ending}"}
