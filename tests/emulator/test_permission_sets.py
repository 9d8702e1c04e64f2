"""Field-level security follows permission sets, made and assigned through the API."""

from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"


@pytest.fixture
def hidden(emulator: RunningEmulator) -> None:
    """The opt-out as Salesforce ships it: hidden by the profile."""
    for sobject in ("Contact", "Lead"):
        emulator.set_field_access(sobject, OPT_OUT, readable=False, updateable=False)


def made(api: Api, sobject: str, **values: object) -> str:
    response = api.call("POST", f"sobjects/{sobject}", json=values)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def error_of(api: Api, sobject: str, **values: object) -> dict[str, Any]:
    response = api.call("POST", f"sobjects/{sobject}", json=values)
    assert not response.ok
    error: dict[str, Any] = response.json()[0]
    return error


def user_of(emulator: RunningEmulator) -> str:
    return str(emulator.control("GET", "health")["integration_user_id"])


def described(api: Api, sobject: str = "Contact") -> dict[str, dict[str, Any]]:
    fields = api.get(f"sobjects/{sobject}/describe").json()["fields"]
    return {field["name"]: field for field in fields}


def grant(api: Api, parent: str, *, edit: bool = True, sobject: str = "Contact") -> str:
    return made(
        api,
        "FieldPermissions",
        ParentId=parent,
        SobjectType=sobject,
        Field=f"{sobject}.{OPT_OUT}",
        PermissionsRead=True,
        PermissionsEdit=edit,
    )


@pytest.mark.usefixtures("hidden")
def test_an_assigned_permission_set_opens_what_the_profile_hides(
    emulator: RunningEmulator, api: Api
) -> None:
    contact = emulator.records("Contact")[0]["Id"]
    parent = made(api, "PermissionSet", Name="Opt_Out_Sync", Label="Opt-Out Sync")
    permission = grant(api, parent)
    assert OPT_OUT not in described(api)  # not assigned yet
    assignment = made(
        api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user_of(emulator)
    )
    assert described(api)[OPT_OUT]["updateable"] is True
    assert api.call("PATCH", f"sobjects/Contact/{contact}", json={OPT_OUT: True}).ok
    assert OPT_OUT not in described(api, "Lead")
    api.call("PATCH", f"sobjects/FieldPermissions/{permission}", json={"PermissionsEdit": False})
    assert described(api)[OPT_OUT]["updateable"] is False
    assert api.call("DELETE", f"sobjects/PermissionSetAssignment/{assignment}").ok
    assert OPT_OUT not in described(api)


@pytest.mark.usefixtures("hidden")
def test_a_deleted_permission_set_takes_its_grants_along(
    emulator: RunningEmulator, api: Api
) -> None:
    parent = made(api, "PermissionSet", Name="Opt_Out_Sync", Label="Opt-Out Sync")
    grant(api, parent)
    made(api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user_of(emulator))
    assert OPT_OUT in described(api)
    assert api.call("DELETE", f"sobjects/PermissionSet/{parent}").status_code == 204
    assert OPT_OUT not in described(api)
    counted = api.query(f"SELECT COUNT() FROM FieldPermissions WHERE ParentId = '{parent}'").json()
    assert counted["totalSize"] == 0


def test_grants_and_assignments_can_be_asked_for(emulator: RunningEmulator, api: Api) -> None:
    parent = made(api, "PermissionSet", Name="Opt_Out_Sync", Label="Opt-Out Sync")
    grant(api, parent)
    made(api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user_of(emulator))
    soql = (
        "SELECT Parent.Name, Parent.IsOwnedByProfile, PermissionsRead, PermissionsEdit FROM"
        f" FieldPermissions WHERE SobjectType = 'Contact' AND Field = 'Contact.{OPT_OUT}'"
        " AND Parent.IsOwnedByProfile = false"
    )
    (found,) = api.query(soql).json()["records"]
    assert found["Parent"]["Name"] == "Opt_Out_Sync"
    assert (found["PermissionsRead"], found["PermissionsEdit"]) == (True, True)
    soql = (
        "SELECT PermissionSet.Name FROM PermissionSetAssignment WHERE"
        " Assignee.Username = 'opt-out-sync@emulated.example'"
    )
    (assigned,) = api.query(soql).json()["records"]
    assert assigned["PermissionSet"]["Name"] == "Opt_Out_Sync"


def test_a_hidden_field_has_no_row(emulator: RunningEmulator, api: Api, hidden: None) -> None:
    soql = f"SELECT COUNT() FROM FieldPermissions WHERE Field = 'Contact.{OPT_OUT}'"
    administrators = api.query(soql).json()["totalSize"]
    assert administrators == 1


def test_what_makes_no_sense_is_refused(emulator: RunningEmulator, api: Api) -> None:
    parent = made(api, "PermissionSet", Name="Opt_Out_Sync", Label="Opt-Out Sync")
    grant(api, parent)
    user = user_of(emulator)
    made(api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user)
    row = {"ParentId": parent, "SobjectType": "Contact", "PermissionsRead": True}
    codes = [
        error_of(api, "PermissionSet", Name="Opt_Out_Sync", Label="Again"),
        error_of(api, "PermissionSet", Name="1 st", Label="Bad"),
        error_of(api, "PermissionSet", Name="NoLabel"),
        error_of(api, "FieldPermissions", **row, Field=f"Contact.{OPT_OUT}"),
        error_of(api, "FieldPermissions", **row, Field="Contact.Nothing"),
        error_of(api, "FieldPermissions", **row, Field="Contact.LastName"),
        error_of(
            api, "FieldPermissions", ParentId=parent, SobjectType="Lead", Field="Lead.Title",
            PermissionsEdit=True,
        ),
        error_of(api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user),
        error_of(
            api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user[:14] + "9"
        ),
    ]  # fmt: skip
    assert [each["errorCode"] for each in codes] == [
        "DUPLICATE_DEVELOPER_NAME",
        "INVALID_INPUT",
        "REQUIRED_FIELD_MISSING",
        "DUPLICATE_VALUE",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "FIELD_INTEGRITY_EXCEPTION",
        "DUPLICATE_VALUE",
        "INVALID_CROSS_REFERENCE_KEY",
    ]


def test_a_profile_is_not_changed_through_its_permission_set(api: Api) -> None:
    soql = "SELECT Id FROM PermissionSet WHERE IsOwnedByProfile = true LIMIT 1"
    (owned,) = api.query(soql).json()["records"]
    error = error_of(
        api, "FieldPermissions", ParentId=owned["Id"], SobjectType="Contact",
        Field=f"Contact.{OPT_OUT}", PermissionsRead=True,
    )  # fmt: skip
    assert error["errorCode"] == "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"


@pytest.mark.parametrize(
    ("permission", "sobject", "values"),
    [
        ("ManageProfilesPermissionsets", "PermissionSet", {"Name": "X", "Label": "X"}),
        (
            "AssignPermissionSets",
            "PermissionSetAssignment",
            {"PermissionSetId": "0PSHs000000001OAA", "AssigneeId": "005Hs0000000001IAA"},
        ),
    ],
)
def test_without_the_permission_nothing_is_set_up(
    emulator: RunningEmulator, api: Api, permission: str, sobject: str, values: dict[str, str]
) -> None:
    emulator.set_user_permission(permission, granted=False)
    if "PermissionSetId" in values:
        (owned,) = api.query("SELECT Id FROM PermissionSet LIMIT 1").json()["records"]
        values = {"PermissionSetId": owned["Id"], "AssigneeId": user_of(emulator)}
    response = api.call("POST", f"sobjects/{sobject}", json=values)
    assert response.status_code == 403
    assert response.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
    emulator.set_user_permission(permission, granted=True)
    assert api.call("POST", f"sobjects/{sobject}", json=values).status_code == 201


def test_without_view_setup_grants_cannot_be_asked_for(emulator: RunningEmulator, api: Api) -> None:
    emulator.set_user_permission("ViewSetup", granted=False)
    refused = api.query("SELECT Id FROM FieldPermissions")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_TYPE")


def test_rights_on_an_object_decide_what_may_be_done_with_its_records(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.set_object_access("Lead", readable=False)
    lead = emulator.records("Lead")[0]["Id"]
    assert api.query("SELECT Id FROM Lead").json()[0]["errorCode"] == "INVALID_TYPE"
    parent = made(api, "PermissionSet", Name="Leads", Label="Leads")
    made(api, "ObjectPermissions", ParentId=parent, SobjectType="Lead", PermissionsRead=True)
    made(api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user_of(emulator))
    assert api.query("SELECT Id FROM Lead").status_code == 200
    refused = api.call("PATCH", f"sobjects/Lead/{lead}", json={OPT_OUT: True})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (
        403,
        "INSUFFICIENT_ACCESS_OR_READONLY",
    )
    deleted = api.call("DELETE", f"sobjects/Lead/{lead}")
    assert deleted.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_OR_READONLY"
    new = api.call("POST", "sobjects/Lead", json={"LastName": "X", "Company": "Y"})
    assert new.json()[0]["errorCode"] == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"


@pytest.mark.parametrize(
    "document",
    [
        {"permission": "Fly", "granted": True, "user": "integration"},
        {"permission": "ViewSetup", "granted": True, "user": "nobody"},
    ],
)
def test_orders_that_make_no_sense_are_refused(
    emulator: RunningEmulator, document: dict[str, object]
) -> None:
    with pytest.raises(EmulatorError, match="must be one of"):
        emulator.control("POST", "user-permission", document)


def test_who_asks_learns_what_it_is_permitted(emulator: RunningEmulator, api: Api) -> None:
    """The object is documented: sfFieldRef, UserPermissionAccess."""
    emulator.set_user_permission("CustomizeApplication", granted=False)
    soql = "SELECT PermissionsApiEnabled, PermissionsCustomizeApplication FROM UserPermissionAccess"
    (found,) = api.query(soql).json()["records"]
    assert (found["PermissionsApiEnabled"], found["PermissionsCustomizeApplication"]) == (
        True,
        False,
    )
    assert api.query(f"{soql} WHERE PermissionsApiEnabled = true").status_code == 501
    assert api.query("SELECT Id FROM UserPermissionAccess").status_code == 501
