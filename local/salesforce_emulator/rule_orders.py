"""The control API's orders about the org's own rules, locks and users."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import soql
from local.salesforce_emulator.access import profile_set
from local.salesforce_emulator.certificates import public_key
from local.salesforce_emulator.control_input import bad_request, required
from local.salesforce_emulator.identity import (
    AUTOMATED_USER_ID,
    HUMAN_USER_IDS,
    INTEGRATION_USER_ID,
)
from local.salesforce_emulator.ids import to_18
from local.salesforce_emulator.rules import KINDS
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.setup_objects import USER_PERMISSIONS
from local.salesforce_emulator.soql_conditions import Conditions
from local.salesforce_emulator.soql_fields import FieldFinder
from local.salesforce_emulator.values import RefusedValueError, to_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

USERS = {
    "integration": INTEGRATION_USER_ID,
    "human": HUMAN_USER_IDS[0],
    "other_human": HUMAN_USER_IDS[1],
    "automated": AUTOMATED_USER_ID,
}
_MESSAGES = {"duplicate": "Use one of these records?", "validation": "This is not allowed"}


def add_rule(org: Org, call: Call) -> Response:
    """``POST rules``: a validation or duplicate rule, or an automation; one name, one rule.

    ``when`` is a condition in SOQL; ``message`` and ``field`` are shown by a validation rule;
    ``match`` lists the fields which a duplicate rule compares, which ``allows`` the client to
    insist; ``set`` holds what an automation saves, as ``user`` or as whoever saved.
    """
    document = call.json()
    kind = required(document, "kind", str)
    if kind not in KINDS:
        raise bad_request(f"kind must be one of {', '.join(KINDS)}")
    object_type = org.schema.any_object(required(document, "object", str))
    name = required(document, "name", str)
    definition = _condition(org, object_type, document.get("when")) | {
        "name": name,
        "kind": kind,
        "sobject": object_type.name,
        "message": str(document.get("message") or _MESSAGES.get(kind, "")),
        "field": document.get("field"),
        "allows": document.get("allows") is True,
        "user": _user(document) if document.get("user") else None,
        **_fields(org, object_type, document),
    }
    with org.database.write() as connection:
        row = (name, kind, object_type.name, json.dumps(definition))
        connection.execute("insert or replace into rule values (?, ?, ?, ?)", row)
    org.rules.load(org.database.read())
    return call.answer({"name": name})


def _condition(org: Org, object_type: ObjectType, when: object) -> dict[str, Any]:
    if when is None:
        return {"condition": "1", "parameters": []}
    query = soql.parse(f"SELECT Id FROM {object_type.name} WHERE {when}")  # noqa: S608
    assert query.where is not None  # noqa: S101 - the text above has one
    finder = FieldFinder(query.text, None, org.schema_of(HUMAN_USER_IDS[0]), object_type)
    conditions = Conditions(query.text, org.schema_of(HUMAN_USER_IDS[0]), finder)
    sql = conditions.sql(query.where)
    return {"condition": sql, "parameters": conditions.values}


def _fields(org: Org, object_type: ObjectType, document: dict[str, Any]) -> dict[str, Any]:
    given, match = document.get("set", {}), document.get("match", [])
    if not isinstance(given, dict) or not isinstance(match, list):
        raise bad_request("set must be an object, match a list")
    values = given or dict.fromkeys(map(str, match))
    try:
        fields = [org.schema.any_field(object_type, name) for name in values]
    except UnknownFieldError as error:
        raise bad_request(f"{object_type.name} has no field {error}") from error
    names = [field.name for field in fields]
    if "set" not in document:
        return {"fields": names, "values": []}
    try:
        columns = [
            to_column(field, values[name]) for field, name in zip(fields, values, strict=True)
        ]
    except RefusedValueError as error:
        raise bad_request(error.error.message) from error
    return {"fields": names, "values": columns}


def _user(document: dict[str, Any]) -> str:
    user = USERS.get(str(document.get("user")))
    if user is None:
        raise bad_request(f"user must be one of {', '.join(USERS)}")
    return user


def clear_rules(org: Org, call: Call) -> Response:
    """``DELETE rules``: an administrator deactivates all of them."""
    with org.database.write() as connection:
        connection.execute("delete from rule")
    org.rules.load(org.database.read())
    return call.answer({"status": "ok"})


def lock(org: Org, call: Call) -> Response:
    """``POST locks``: another transaction holds records, or everything below Accounts."""
    ids = [to_18(each, "") for each in required(call.json(), "ids", list)]
    if None in ids:
        raise bad_request("ids must be a list of record Ids")
    org.rules.lock([each for each in ids if each])
    return call.answer({"status": "ok"})


def unlock(org: Org, call: Call) -> Response:
    """``DELETE locks``: that transaction ends."""
    org.rules.unlock()
    return call.answer({"status": "ok"})


def user_permission(org: Org, call: Call) -> Response:
    """``POST user-permission``: the profile of a user gets or loses a permission."""
    document = call.json()
    permission, user = required(document, "permission", str), _user(document)
    if permission not in USER_PERMISSIONS:
        raise bad_request(f"permission must be one of {', '.join(USER_PERMISSIONS)}")
    granted = required(document, "granted", bool)
    with org.database.write() as connection:
        connection.execute(
            f'update "PermissionSet" set "Permissions{permission}" = ? where "Id" = ?',  # noqa: S608
            (granted, profile_set(connection, user)),
        )
    org.reload()
    return call.answer({"user": user, "permission": permission})


def user_activity(org: Org, call: Call) -> Response:
    """``POST user``: an administrator deactivates a user, or lets one in again."""
    document = call.json()
    user, active = _user(document), required(document, "active", bool)
    with org.database.write() as connection:
        connection.execute('update "User" set "IsActive" = ? where "Id" = ?', (active, user))
    if not active:
        org.sessions.revoke_user(user)
    return call.answer({"user": user})


def grant_refresh(org: Org, call: Call) -> Response:
    """``POST refresh-token``: a user approved the connected app in a browser."""
    return call.answer({"refresh_token": org.refresh_tokens.grant(_user(call.json()))})


def set_certificate(org: Org, call: Call) -> Response:
    """``POST certificate``: the connected app trusts assertions signed by its key; null: none."""
    pem = call.json().get("pem")
    if pem is not None and "-----BEGIN" not in str(pem):
        raise bad_request("pem must be a certificate or a public key in PEM, or null")
    org.client = replace(org.client, certificate=None if pem is None else public_key(str(pem)))
    return call.answer({"status": "ok"})


ROUTES: tuple[tuple[str, str, Callable[[Org, Call], Response]], ...] = (
    ("POST", "/rules", add_rule),
    ("DELETE", "/rules", clear_rules),
    ("POST", "/locks", lock),
    ("DELETE", "/locks", unlock),
    ("POST", "/user-permission", user_permission),
    ("POST", "/user", user_activity),
    ("POST", "/refresh-token", grant_refresh),
    ("POST", "/certificate", set_certificate),
)
