"""The Metadata API over SOAP: its operations on components, ten at a time [documented]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.identity import HUMAN_USER_IDS
from local.salesforce_emulator.metadata import deploys
from local.salesforce_emulator.metadata.components import ComponentError, as_list, typed
from local.salesforce_emulator.metadata.kinds import FOLDERS, KINDS
from local.salesforce_emulator.soap import METADATA, TYPE_KEY, FaultError, Request, answer, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from local.salesforce_emulator.metadata.components import Component, Kind
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

    Arguments = dict[str, Any]
    Operation = Callable[[Org, str, Arguments], Any]

_MOST = 10  # [documented]
_ILLEGAL = (
    "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing "
    "session hash"
)  # [captured]
_NOT_PERMITTED = (
    "INSUFFICIENT_ACCESS: use of the Metadata API requires a user with the ModifyAllData or "
    "ModifyMetadata permissions"
)  # [captured]


def serve(org: Org, call: Call) -> Response:
    """``POST /services/Soap/m/{version}``."""
    try:
        request = Request(call.body)
        user_id = _user(org, request)
        operation = _OPERATIONS.get(request.operation)
        if operation is None:
            message = f"This emulator does not emulate {request.operation}()"
            raise FaultError("NOT_EMULATED", message)
        return answer(METADATA, request.operation, operation(org, user_id, request.arguments))
    except FaultError as error:
        return fault(METADATA, error)


def _user(org: Org, request: Request) -> str:
    """Return who calls; a call costs an API request as any other [documented].

    Whoever may not change metadata may not read it either [captured].
    """
    try:
        user_id = org.sessions.check_token(request.session_id)
        org.limits.spend()
    except SalesforceError as error:
        message = _ILLEGAL if error.status == 401 else error.message
        raise FaultError(error.code, message) from error
    schema = org.schema_of(user_id)
    if not (schema.may("ModifyMetadata") or schema.may("ModifyAllData")):
        raise FaultError("INSUFFICIENT_ACCESS", _NOT_PERMITTED)
    return user_id


def _kind(name: str) -> Kind:
    kind = KINDS.get(name)
    if kind is None:
        raise FaultError("INVALID_TYPE", f"Unknown type name '{name}'")  # [documented code]
    return kind


def _components(arguments: Arguments, key: str = "metadata") -> list[Any]:
    components = as_list(arguments.get(key))
    if len(components) > _MOST:
        message = f"record limit reached. cannot submit more than {_MOST} records into this call"
        raise FaultError("LIMIT_EXCEEDED", message)
    return components


def _create(org: Org, user_id: str, arguments: Arguments) -> Any:
    return [_saved(org, user_id, each, _created) for each in _components(arguments)]


def _update(org: Org, user_id: str, arguments: Arguments) -> Any:
    return [_saved(org, user_id, each, _updated) for each in _components(arguments)]


def _upsert(org: Org, user_id: str, arguments: Arguments) -> Any:
    return [_saved(org, user_id, each, _upserted) for each in _components(arguments)]


def _created(org: Org, user_id: str, kind: Kind, component: Component) -> dict[str, Any]:
    kind.create(org, user_id, component)
    return {}


def _updated(org: Org, user_id: str, kind: Kind, component: Component) -> dict[str, Any]:
    kind.update(org, user_id, component)
    return {}


def _upserted(org: Org, user_id: str, kind: Kind, component: Component) -> dict[str, Any]:
    is_new = kind.read(org, str(component.get("fullName", ""))) is None
    (kind.create if is_new else kind.update)(org, user_id, component)
    return {"created": is_new}


def _saved(org: Org, user_id: str, given: Any, save: Callable[..., dict[str, Any]]) -> Any:
    """Save one component; one that is refused does not stop the others [documented]."""
    component = typed(given if isinstance(given, dict) else {})
    kind = _kind(str(component.pop(TYPE_KEY, "")))
    full_name = str(component.get("fullName", ""))
    try:
        return {"fullName": full_name, "success": True, **save(org, user_id, kind, component)}
    except ComponentError as error:
        created = {"created": False} if save is _upserted else {}
        return {"fullName": full_name, "success": False, **created, "errors": _errors(error)}


def _errors(error: ComponentError) -> list[dict[str, Any]]:
    refusal = error.error
    fields: dict[str, Any] = {"fields": list(refusal.fields)} if refusal.fields else {}
    return [{**fields, "message": refusal.message, "statusCode": refusal.code}]


def _read(org: Org, _user_id: str, arguments: Arguments) -> Any:
    """Answer an empty object for a name that nothing has, not an error [captured]."""
    kind = _kind(str(arguments.get("type")))
    found = [kind.read(org, str(name)) for name in _components(arguments, "fullNames")]
    return {
        "records": [{} if each is None else {TYPE_KEY: kind.name, **each} for each in found]
    }  # fmt: skip


def _delete(org: Org, user_id: str, arguments: Arguments) -> Any:
    kind = _kind(str(arguments.get("type")))
    results = []
    for name in _components(arguments, "fullNames"):
        try:
            kind.delete(org, user_id, str(name))
            results.append({"fullName": name, "success": True})
        except ComponentError as error:
            results.append({"fullName": name, "success": False, "errors": _errors(error)})
    return results


def _list(org: Org, _user_id: str, arguments: Arguments) -> Any:
    kinds = [KINDS.get(str(query.get("type"))) for query in as_list(arguments.get("queries"))]
    stamp, author = to_stored(now()), HUMAN_USER_IDS[0]
    return [
        {
            "createdById": author,
            "createdByName": "Rosa Human",
            "createdDate": stamp,
            "fileName": _file_name(kind, full_name),
            "fullName": full_name,
            "id": component_id,
            "lastModifiedById": author,
            "lastModifiedByName": "Rosa Human",
            "lastModifiedDate": stamp,
            "type": kind.name,
        }
        for kind in kinds
        if kind is not None
        for component_id, full_name in kind.names(org)
    ]


def _file_name(kind: Kind, full_name: str) -> str:
    folder, ending = FOLDERS.get(kind.name, FOLDERS["CustomObject"])
    return f"{folder}/{full_name.partition('.')[0] if folder == 'objects' else full_name}.{ending}"


def _describe(_org: Org, _user_id: str, _arguments: Arguments) -> Any:
    objects = [
        {
            "directoryName": folder,
            "inFolder": False,
            "metaFile": False,
            "suffix": ending,
            "xmlName": name,
            **({"childXmlNames": ["CustomField"]} if name == "CustomObject" else {}),
        }
        for name, (folder, ending) in FOLDERS.items()
    ]
    return {
        "metadataObjects": objects,
        "organizationNamespace": "",
        "partialSaveAllowed": True,
        "testRequired": False,
    }


_OPERATIONS: dict[str, Operation] = {
    "createMetadata": _create,
    "readMetadata": _read,
    "updateMetadata": _update,
    "upsertMetadata": _upsert,
    "deleteMetadata": _delete,
    "listMetadata": _list,
    "describeMetadata": _describe,
    "deploy": deploys.start,
    "checkDeployStatus": deploys.status,
}
