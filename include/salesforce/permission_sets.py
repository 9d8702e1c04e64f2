"""The permission set of the integration user, through the objects Salesforce keeps it in.

Not by a deploy, which would replace the set and with it whatever an admin has added; here grants
are only added. https://developer.salesforce.com/docs/platform/api-metadata/references/meta-types/
metadata-permissionset.html
"""

from dataclasses import dataclass
from typing import Any, Final

from include.domain.ids import to_18
from include.salesforce.definitions import (
    PERMISSION_SET,
    PERMISSION_SET_DESCRIPTION,
    SYSTEM_PERMISSION,
    FieldGrant,
    Grants,
    ObjectGrant,
)
from include.salesforce.errors import MissingPermissionError, SalesforceRequestError
from include.salesforce.failures import INVALID_TYPE
from include.salesforce.menu import PERMISSION_SET_LABEL
from include.salesforce.rest_query import query_all
from include.salesforce.session import SalesforceSession

_API: Final = f"Permissions{SYSTEM_PERMISSION}"
_OF_NAME: Final = f"SELECT Id, {_API} FROM PermissionSet WHERE Name = '{PERMISSION_SET}'"  # noqa: S608  ours
_NOT_PERMITTED: Final = frozenset(
    {"INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"}
    | {"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"}
)


@dataclass(frozen=True, slots=True)
class FoundSet:
    """The permission set as it is.

    Attributes:
        set_id: null where there is none.
        uses_api: whether it permits to use the API.
        is_assigned: whether the integration user has it.
        objects: what it permits, with the Id of the row, by object.
        fields: the same by `Object.Field`: (Id, read, edit).
    """

    set_id: str | None
    uses_api: bool
    is_assigned: bool
    objects: dict[str, tuple[str, ObjectGrant]]
    fields: dict[str, tuple[str, bool, bool]]


@dataclass(frozen=True, slots=True)
class Lack:
    """What the permission set does not permit and should."""

    the_set: bool
    api: bool
    objects: tuple[ObjectGrant, ...]
    fields: tuple[FieldGrant, ...]
    assignment: bool

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return any((self.the_set, self.api, self.objects, self.fields, self.assignment))


_NOTHING: Final = FoundSet(None, False, False, {}, {})


def read_set(session: SalesforceSession, user_id: str) -> FoundSet:
    """Return the permission set as it is.

    Raises:
        MissingPermissionError: the user of the session may not look.
    """
    rows = _query(session, _OF_NAME)
    if not rows:
        return _NOTHING
    set_id = to_18(rows[0]["Id"])
    assignments = _query(
        session,
        f"SELECT Id FROM PermissionSetAssignment WHERE PermissionSetId = '{set_id}' "  # noqa: S608
        f"AND AssigneeId = '{user_id}'",
    )
    return FoundSet(
        set_id,
        bool(rows[0][_API]),
        bool(assignments),
        _objects(session, set_id),
        _fields(session, set_id),
    )


def lacking(found: FoundSet, wanted: Grants) -> Lack:
    """Compare what there is with what is wanted; what is permitted beyond that is left alone."""
    return Lack(
        the_set=found.set_id is None,
        api=not found.uses_api,
        objects=tuple(each for each in wanted.objects if not _permits(found, each)),
        fields=tuple(
            each
            for each in wanted.fields
            if found.fields.get(each.full_name, ("", False, False))[1:] != (True, True)
        ),
        assignment=not found.is_assigned,
    )


def supply(session: SalesforceSession, user_id: str, found: FoundSet, lack: Lack) -> None:
    """Add what is missing. A repetition reads again first, and adds what is left.

    Raises:
        MissingPermissionError: the user of the session may not do that.
        SalesforceRequestError: Salesforce refuses it for another reason.
    """
    try:
        set_id = found.set_id or _created(session)
        if found.set_id and lack.api:
            _change(session, "PermissionSet", found.set_id, {_API: True})
        for grant in lack.objects:
            _supply_object(session, set_id, found, grant)
        for field in lack.fields:
            _supply_field(session, set_id, found, field)
        if lack.assignment:
            _create(
                session,
                "PermissionSetAssignment",
                {"PermissionSetId": set_id, "AssigneeId": user_id},
            )
    except SalesforceRequestError as error:
        raise _named(error) from error


def _objects(session: SalesforceSession, set_id: str) -> dict[str, tuple[str, ObjectGrant]]:
    rows = _query(
        session,
        "SELECT Id, SobjectType, PermissionsRead, PermissionsEdit, "  # noqa: S608
        f"PermissionsViewAllRecords FROM ObjectPermissions WHERE ParentId = '{set_id}'",
    )
    flags = ("PermissionsRead", "PermissionsEdit", "PermissionsViewAllRecords")
    return {
        row["SobjectType"]: (
            row["Id"],
            ObjectGrant(row["SobjectType"], *(bool(row[each]) for each in flags)),
        )
        for row in rows
    }


def _fields(session: SalesforceSession, set_id: str) -> dict[str, tuple[str, bool, bool]]:
    rows = _query(
        session,
        "SELECT Id, Field, PermissionsRead, PermissionsEdit "  # noqa: S608
        f"FROM FieldPermissions WHERE ParentId = '{set_id}'",
    )
    return {
        row["Field"]: (row["Id"], bool(row["PermissionsRead"]), bool(row["PermissionsEdit"]))
        for row in rows
    }


def _permits(found: FoundSet, wanted: ObjectGrant) -> bool:
    _, there = found.objects.get(wanted.obj, ("", ObjectGrant(wanted.obj, False, False, False)))
    return all(
        has or not wants
        for has, wants in (
            (there.read, wanted.read),
            (there.edit, wanted.edit),
            (there.view_all, wanted.view_all),
        )
    )


def _created(session: SalesforceSession) -> str:
    columns = {
        "Name": PERMISSION_SET,
        "Label": PERMISSION_SET_LABEL,
        "Description": PERMISSION_SET_DESCRIPTION,
        _API: True,
    }
    return _create(session, "PermissionSet", columns)


def _supply_object(
    session: SalesforceSession, set_id: str, found: FoundSet, grant: ObjectGrant
) -> None:
    wanted = {
        "PermissionsRead": grant.read,
        "PermissionsEdit": grant.edit,
        "PermissionsViewAllRecords": grant.view_all,
    }
    columns = {name: True for name, wants in wanted.items() if wants}
    if grant.obj in found.objects:
        _change(session, "ObjectPermissions", found.objects[grant.obj][0], columns)
    else:
        whose = {"ParentId": set_id, "SobjectType": grant.obj}
        _create(session, "ObjectPermissions", whose | columns)


def _supply_field(
    session: SalesforceSession, set_id: str, found: FoundSet, grant: FieldGrant
) -> None:
    columns = {"PermissionsRead": True, "PermissionsEdit": True}
    if grant.full_name in found.fields:
        _change(session, "FieldPermissions", found.fields[grant.full_name][0], columns)
    else:
        whose = {"ParentId": set_id, "SobjectType": grant.obj, "Field": grant.full_name}
        _create(session, "FieldPermissions", whose | columns)


def _create(session: SalesforceSession, name: str, columns: dict[str, Any]) -> str:
    made = session.json("POST", f"sobjects/{name}", repeatable=False, json=columns)
    return str(made["id"])


def _change(session: SalesforceSession, name: str, row: str, columns: dict[str, Any]) -> None:
    session.request("PATCH", f"sobjects/{name}/{row}", repeatable=True, json=columns)


def _query(session: SalesforceSession, soql: str) -> list[dict[str, Any]]:
    try:
        return query_all(session, soql)
    except SalesforceRequestError as error:
        if error.code != INVALID_TYPE:
            raise
        raise MissingPermissionError(
            "the user of the setup's Connection may not see permission sets: give it the "
            "permission View Setup and Configuration"
        ) from error


def _named(error: SalesforceRequestError) -> MissingPermissionError | SalesforceRequestError:
    if error.code not in _NOT_PERMITTED:
        return SalesforceRequestError(
            f"Salesforce refused to complete the permission set {PERMISSION_SET} (HTTP "
            f"{error.status}, {error.code}): look whether the licence of the integration user "
            "permits it, then run the setup again; what was added stays",
            status=error.status,
            code=error.code,
        )
    return MissingPermissionError(
        "the user of the setup's Connection may not change permission sets: give it the "
        "permissions Manage Profiles and Permission Sets and Assign Permission Sets"
    )
