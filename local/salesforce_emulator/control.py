"""The control API: what tests, sample data and the demo do to the org behind its back.

JSON, no login, reachable from this machine only because the server binds to loopback only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import (
    administration,
    assignment,
    history,
    human,
    person_accounts,
    rule_orders,
    switches,
)
from local.salesforce_emulator.access import grant_field, grant_object, profile_set
from local.salesforce_emulator.control_input import bad_request, required
from local.salesforce_emulator.custom_fields import checkbox
from local.salesforce_emulator.identity import (
    HUMAN_USER_IDS,
    INTEGRATION_USER_ID,
    ORGANIZATION_ID,
)
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.metadata.components import ComponentError
from local.salesforce_emulator.metadata.custom_field import install
from local.salesforce_emulator.rendering import RecordRenderer, select_list
from local.salesforce_emulator.schema import FieldAccess, UnknownFieldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call


def health(_org: Org, call: Call) -> Response:
    """``GET health``: answers as soon as requests are served."""
    return call.answer(
        {
            "status": "ok",
            "pid": os.getpid(),
            "organization_id": ORGANIZATION_ID,
            "integration_user_id": INTEGRATION_USER_ID,
            "human_user_id": HUMAN_USER_IDS[0],
        }
    )


def records(org: Org, call: Call) -> Response:
    """``GET records/{X}``: every record with every column, deleted ones too, ordered by Id."""
    object_type = org.schema.any_object(call.params["object"])
    renderer = RecordRenderer(object_type, object_type.fields, "")
    rows = org.database.read().execute(
        f'select {select_list(object_type.fields)} from "{object_type.name}" order by "Id"'  # noqa: S608
    )
    found = [renderer.record(row[0], row) for row in rows]
    for record in found:
        del record["attributes"]
    return call.answer({"records": found})


def edit(org: Org, call: Call) -> Response:
    """``POST edit``: a person changes records."""
    document = call.json()
    edits = required(document, "edits", list)
    return call.answer({"edited": human.edit(org, edits, str(document.get("user", "human")))})


def field_access(org: Org, call: Call) -> Response:
    """``POST field-access``: an administrator sets field-level security."""
    document = call.json()
    object_type, field = _field(org, document)
    if not field.permissionable:
        raise bad_request(f"Salesforce does not let anyone restrict {field.name}")
    access = FieldAccess(
        required(document, "readable", bool), required(document, "updateable", bool)
    )
    with org.database.write() as connection:
        parent = profile_set(connection, INTEGRATION_USER_ID)
        names = (object_type.name, field.name)
        grant_field(org.database, connection, parent, names, access)
    org.reload()
    return call.answer({"object": object_type.name, "field": field.name})


def _field(org: Org, document: dict[str, Any]) -> tuple[ObjectType, Field]:
    object_type = org.schema.any_object(required(document, "object", str))
    try:
        return object_type, org.schema.any_field(object_type, required(document, "field", str))
    except UnknownFieldError as error:
        raise bad_request(f"{object_type.name} has no field {error}") from error


def object_access(org: Org, call: Call) -> Response:
    """``POST object-access``: an administrator gives or takes Read on an object."""
    document = call.json()
    object_type = org.schema.any_object(required(document, "object", str))
    readable = required(document, "readable", bool)
    with org.database.write() as connection:
        parent = profile_set(connection, INTEGRATION_USER_ID)
        grant_object(org.database, connection, parent, object_type.name, granted=readable)
    org.reload()
    return call.answer({"object": object_type.name})


def assignment_rule(org: Org, call: Call) -> Response:
    """``POST assignment-rule``: saved Leads go to one owner, or do so no longer."""
    document = call.json()
    owner = _owner(document) if required(document, "active", bool) else None
    assignment.set_rule(org.database, owner)
    return call.answer({"owner": owner})


def _owner(document: dict[str, Any]) -> str:
    owner = to_18(required(document, "owner", str), "")
    if owner is None:
        raise bad_request("owner must be the Id of a user or a queue")
    return owner


def custom_field(org: Org, call: Call) -> Response:
    """``POST custom-field``: an administrator installs a checkbox, false everywhere."""
    document = call.json()
    object_type = org.schema.any_object(required(document, "object", str))
    name = required(document, "name", str)
    if not name.endswith("__c") or not name.isidentifier():
        raise bad_request("a custom field's name is an identifier which ends in __c")
    metadata = checkbox(name, required(document, "label", str))
    if not object_type.has(name):
        administration.install_field(
            org.database, object_type, metadata, granted_to=INTEGRATION_USER_ID
        )
        org.reload()
    return call.answer({"object": object_type.name, "field": name})


def install_field(org: Org, call: Call) -> Response:
    """``POST field``: an administrator installs a custom field of any type, open to the profile."""
    document = call.json()
    object_type = org.schema.any_object(required(document, "object", str))
    metadata = required(document, "metadata", dict)
    name = f"{object_type.name}.{required(metadata, 'fullName', str)}"
    try:
        install(org, {**metadata, "fullName": name}, INTEGRATION_USER_ID)
    except ComponentError as error:
        raise bad_request(error.error.message) from error
    return call.answer({"object": object_type.name, "field": metadata["fullName"]})


def track_history(org: Org, call: Call) -> Response:
    """``POST history``: an administrator starts or ends the tracking of a field's history."""
    document = call.json()
    object_type, field = _field(org, document)
    tracked = required(document, "tracked", bool)
    try:
        history.track(org.database, object_type, field, tracked=tracked)
    except history.NotTrackableError as error:
        raise bad_request(str(error)) from error
    return call.answer({"object": object_type.name, "field": field.name})


def enable_person_accounts(org: Org, call: Call) -> Response:
    """``POST person-accounts``: Salesforce switches them on, for good."""
    person_accounts.enable(org)
    return call.answer({"status": "ok"})


def make_person_account(org: Org, call: Call) -> Response:
    """``POST person-account``: a Contact becomes a person account of its own."""
    contact = required(call.json(), "contact", str)
    return call.answer({"account": person_accounts.make(org, contact)})


def convert_lead(org: Org, call: Call) -> Response:
    """``POST convert-lead``: into the given Contact, or into a new one."""
    document = call.json()
    contact = human.convert_lead(org, required(document, "lead", str), document.get("contact"))
    return call.answer({"contact": contact})


def merge(org: Org, call: Call) -> Response:
    """``POST merge``: ``values`` are what the person picks for the winner."""
    document = call.json()
    winner, losers = required(document, "winner", str), required(document, "losers", list)
    values = document.get("values") or {}
    if not isinstance(values, dict) or not all(isinstance(each, str) for each in losers):
        raise bad_request("losers must be a list of Ids, values an object")
    human.merge(org, winner, losers, values)
    return call.answer({"winner": winner})


def delete(org: Org, call: Call) -> Response:
    """``POST delete``."""
    return call.answer({"deleted": human.delete(org, required(call.json(), "ids", list))})


def undelete(org: Org, call: Call) -> Response:
    """``POST undelete``."""
    return call.answer({"undeleted": human.undelete(org, required(call.json(), "ids", list))})


def add_fault(org: Org, call: Call) -> Response:
    """``POST faults``."""
    org.faults.add(call.json())
    return call.answer({"status": "ok"})


def clear_faults(org: Org, call: Call) -> Response:
    """``DELETE faults``."""
    org.faults.clear()
    return call.answer({"status": "ok"})


def requests(org: Org, call: Call) -> Response:
    """``GET requests``: what was asked since the start or the last reset."""
    return call.answer(org.journal.report())


def reset_requests(org: Org, call: Call) -> Response:
    """``DELETE requests``."""
    org.journal.reset()
    return call.answer({"status": "ok"})


def set_limits(org: Org, call: Call) -> Response:
    """``POST limits``."""
    document = call.json()
    allowed = required(document, "daily_api_requests", int)
    org.limits.set(allowed=allowed, used=required(document, "used", int))
    return call.answer(org.limits.report()["DailyApiRequests"])


def revoke_sessions(org: Org, call: Call) -> Response:
    """``DELETE sessions``: an administrator logs everybody out."""
    org.sessions.revoke_all()
    return call.answer({"status": "ok"})


def hold_jobs(org: Org, call: Call) -> Response:
    """``POST jobs`` with ``hold``: bulk jobs wait in their queue until let go."""
    org.jobs.hold(required(call.json(), "hold", bool))
    return call.answer({"status": "ok"})


def snapshot(org: Org, call: Call) -> Response:
    """``POST snapshot``: keep the org as it is now."""
    org.snapshot()
    return call.answer({"status": "ok"})


def restore(org: Org, call: Call) -> Response:
    """``POST restore``: the org as it was, without faults, counts and spent limits."""
    try:
        org.restore()
    except FileNotFoundError as error:
        raise bad_request("no snapshot was made") from error
    return call.answer({"status": "ok"})


ROUTES: tuple[tuple[str, str, Callable[[Org, Call], Response]], ...] = (
    ("GET", "/health", health),
    ("GET", "/records/{object}", records),
    ("POST", "/edit", edit),
    ("POST", "/field-access", field_access),
    ("POST", "/object-access", object_access),
    ("POST", "/assignment-rule", assignment_rule),
    ("POST", "/custom-field", custom_field),
    ("POST", "/field", install_field),
    ("POST", "/history", track_history),
    ("POST", "/person-accounts", enable_person_accounts),
    ("POST", "/person-account", make_person_account),
    ("POST", "/convert-lead", convert_lead),
    ("POST", "/merge", merge),
    ("POST", "/delete", delete),
    ("POST", "/undelete", undelete),
    ("POST", "/faults", add_fault),
    ("DELETE", "/faults", clear_faults),
    ("GET", "/requests", requests),
    ("DELETE", "/requests", reset_requests),
    ("POST", "/limits", set_limits),
    ("DELETE", "/sessions", revoke_sessions),
    ("POST", "/jobs", hold_jobs),
    ("POST", "/snapshot", snapshot),
    ("POST", "/restore", restore),
    *switches.ROUTES,
    *rule_orders.ROUTES,
)
