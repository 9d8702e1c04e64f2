"""A night as a user who has exactly the permission set that docs/security.md lists."""

import pytest

from include.domain.values import SalesforceObject
from local.salesforce_emulator.setup_objects import USER_PERMISSIONS
from local.salesforce_emulator.testing import Api
from tests.docs.pages import ROOT
from tests.sync.pushing import pushed
from tests.sync.world import FIELD

CONTACT, LEAD = SalesforceObject
USER = {"ApiEnabled": True}
OBJECT = {"PermissionsRead": True, "PermissionsEdit": True, "PermissionsViewAllRecords": True}
FIELDS = {"PermissionsRead": True, "PermissionsEdit": True}


def made(api, sobject, **values):
    response = api.call("POST", f"sobjects/{sobject}", json=values)
    assert response.status_code == 201, response.text
    return response.json()["id"]


@pytest.fixture
def only_that_set(world):
    """The integration user's profile permits nothing; a permission set permits what is listed."""
    api, user = Api(world.org), world.org.control("GET", "health")["integration_user_id"]
    permissions = {f"Permissions{name}": value for name, value in USER.items()}
    parent = made(api, "PermissionSet", Name="Opt_Out_Sync", Label="Opt-Out Sync", **permissions)
    for obj in SalesforceObject:
        made(api, "ObjectPermissions", ParentId=parent, SobjectType=obj, **OBJECT)
        made(
            api, "FieldPermissions", ParentId=parent, SobjectType=obj, Field=f"{obj}.{FIELD}",
            **FIELDS,
        )  # fmt: skip
    made(api, "PermissionSetAssignment", PermissionSetId=parent, AssigneeId=user)
    for obj in SalesforceObject:
        world.org.set_object_access(obj, readable=False)
        world.org.set_field_access(obj, FIELD, readable=False, updateable=False)
    world.org.set_object_access("Account", readable=False)
    for permission in USER_PERMISSIONS:
        world.org.set_user_permission(permission, granted=False)


@pytest.mark.usefixtures("only_that_set")
@pytest.mark.parametrize("threshold", [1, 2000], ids=["by Bulk jobs", "by collections"])
def test_the_documented_permission_set_is_enough_for_nights_pushes_and_clears(world, threshold):
    world.choose(bulk_threshold=threshold)
    pairs = [world.pair(True, False, obj) for obj in SalesforceObject for _ in range(2)]
    to_store, cleared = world.pair(False, True), world.pair(True, True)
    by_push = world.pair(False, False)
    consent = world.consent(cleared[0])
    world.night()
    assert all(world.agreed(*pair) is True for pair in [*pairs, to_store])
    assert world.agreed(*cleared) is False
    assert world.judgement(consent) == ("accepted", "RESUBSCRIBED")
    world.unsubscribe(by_push[0])
    pushed(world)
    assert world.agreed(*by_push) is True


@pytest.mark.usefixtures("only_that_set")
def test_the_documented_permission_set_permits_nothing_else(world):
    api, contact = Api(world.org), world.record(False)
    assert not api.call("DELETE", f"sobjects/Contact/{contact}").ok
    assert not api.call("POST", "sobjects/Lead", json={"LastName": "X", "Company": "Y"}).ok
    assert not api.call("POST", "sobjects/PermissionSet", json={"Name": "X", "Label": "X"}).ok


def test_the_page_lists_this_permission_set():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for name in ("API Enabled", "Read", "Edit", "View All", FIELD, "Opt_Out_Sync"):
        assert f"*{name}*" in page or f"`{name}`" in page
