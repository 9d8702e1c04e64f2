"""What the setup reads and changes of an org, over the real HTTP stack."""

import pytest

from include.domain.values import STANDARD_FIELD, SalesforceObject
from include.salesforce import layouts
from include.salesforce.administration import SalesforceAdministration
from include.salesforce.definitions import Checkbox, grants
from include.salesforce.errors import DeployFailedError, MissingPermissionError
from include.salesforce.metadata import Waiting
from include.salesforce.session import SalesforceSession
from local.salesforce_emulator.testing import RunningEmulator

CONTACT, LEAD = SalesforceObject
BOX = Checkbox("Sales_Opt_Out__c", "Sales Opt Out")
LAYOUT = "Contact-Contact Layout"


@pytest.fixture
def administration(session: SalesforceSession) -> SalesforceAdministration:
    return SalesforceAdministration(session, waiting=Waiting(first=0.02))


@pytest.fixture
def user_id(emulator: RunningEmulator) -> str:
    return str(emulator.control("GET", "health")["integration_user_id"])


def test_the_checkbox_is_created_on_both_objects_and_found_again(administration) -> None:
    before = administration.objects()
    assert BOX.name.lower() not in before[CONTACT].fields
    administration.create_checkboxes(BOX, [CONTACT, LEAD])
    for obj in SalesforceObject:
        found = administration.objects()[obj].fields[BOX.name.lower()]
        assert (found.name, found.label, found.kind, found.is_tracked) == (
            BOX.name,
            BOX.label,
            "Checkbox",
            False,
        )


def test_a_refused_deploy_changes_nothing_and_says_why(emulator, administration) -> None:
    emulator.install_field("Lead", fullName=BOX.name, type="Text", label="Text", length=20)
    with pytest.raises(DeployFailedError, match="Cannot change field type from Text to Checkbox"):
        administration.create_checkboxes(BOX, [CONTACT, LEAD])
    assert BOX.name.lower() not in administration.objects()[CONTACT].fields


def test_history_is_kept_of_a_standard_and_of_a_custom_field(administration) -> None:
    administration.create_checkboxes(BOX, [CONTACT, LEAD])
    found = administration.objects()
    assert not found[CONTACT].keeps_history
    names = (STANDARD_FIELD.lower(), BOX.name.lower())
    administration.track({obj: [found[obj].fields[name] for name in names] for obj in found})
    after = administration.objects()
    assert all(each.keeps_history for each in after.values())
    assert all(each.fields[name].is_tracked for each in after.values() for name in names)
    custom = after[LEAD].fields[BOX.name.lower()]
    assert custom.label == BOX.label
    assert custom.definition.findtext("{*}description")


def test_a_layout_is_written_back_with_one_item_more(administration) -> None:
    assert administration.layout_names() == [
        "Contact-Contact (Sales) Layout",
        LAYOUT,
        "Lead-Lead Layout",
    ]
    before = administration.read_layouts([LAYOUT])[LAYOUT]
    original = layouts.canonical(before)
    layouts.add_field(before, STANDARD_FIELD, [])
    administration.write_layout(LAYOUT, before)
    after = administration.read_layouts([LAYOUT])[LAYOUT]
    assert layouts.canonical(after) == layouts.canonical(before) != original
    assert layouts.has_field(after, STANDARD_FIELD)


def test_the_permission_set_gets_what_it_lacks_and_keeps_what_it_has(
    emulator, administration, user_id
) -> None:
    for obj in SalesforceObject:
        emulator.set_field_access(obj.value, STANDARD_FIELD, readable=False, updateable=False)
    wanted = grants([STANDARD_FIELD])
    found, lack = administration.lacking(user_id, wanted)
    assert lack.the_set
    administration.supply(user_id, found, lack)
    found, lack = administration.lacking(user_id, wanted)
    assert not lack
    assert found.is_assigned


@pytest.mark.parametrize("permission", ["ModifyMetadata", "CustomizeApplication"])
def test_a_missing_permission_is_named(emulator, administration, permission) -> None:
    emulator.set_user_permission("ModifyAllData", granted=False)
    emulator.set_user_permission(permission, granted=False)
    (label,) = administration.missing_permissions([permission])
    assert permission.startswith(label.split()[0])


def test_without_the_metadata_permission_nothing_is_read(emulator, administration) -> None:
    emulator.set_user_permission("ModifyAllData", granted=False)
    emulator.set_user_permission("ModifyMetadata", granted=False)
    with pytest.raises(MissingPermissionError, match="Modify Metadata"):
        administration.objects()


def test_a_session_that_ended_is_renewed_once(emulator, administration) -> None:
    administration.objects()
    emulator.revoke_sessions()
    assert set(administration.objects()) == {CONTACT, LEAD}
