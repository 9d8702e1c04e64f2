"""Custom fields, layouts and permission sets as metadata: zeep through simple-salesforce's WSDL."""

import base64
import io
import time
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from simple_salesforce import Salesforce
from zeep.exceptions import Fault

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
FIELD = "Contact.Sales_Opt_Out__c"
LAYOUT = "Contact-Contact Layout"


@pytest.fixture
def mdapi(salesforce: Salesforce) -> Any:
    return salesforce.mdapi


def checkbox(mdapi: Any, full_name: str = FIELD, **more: object) -> Any:
    return mdapi.CustomField(
        fullName=full_name, label="Sales Opt Out", type="Checkbox", defaultValue="false", **more
    )


def described(api: Api, sobject: str = "Contact") -> dict[str, Any]:
    fields = api.get(f"sobjects/{sobject}/describe").json()["fields"]
    return {field["name"]: field for field in fields}


def test_a_new_field_is_hidden_until_a_permission_set_opens_it(
    emulator: RunningEmulator, api: Api, mdapi: Any
) -> None:
    mdapi.CustomField.create([checkbox(mdapi)])
    assert "Sales_Opt_Out__c" not in described(api)
    mdapi.PermissionSet.create(
        [
            mdapi.PermissionSet(
                fullName="Opt_Out_Sync",
                label="Opt-Out Sync",
                fieldPermissions=[{"editable": True, "field": FIELD, "readable": True}],
            )
        ]
    )
    soql = "SELECT Id FROM PermissionSet WHERE Name = 'Opt_Out_Sync'"
    (found,) = api.query(soql).json()["records"]
    user = emulator.control("GET", "health")["integration_user_id"]
    assignment = {"PermissionSetId": found["Id"], "AssigneeId": user}
    assert api.call("POST", "sobjects/PermissionSetAssignment", json=assignment).status_code == 201
    field = described(api)["Sales_Opt_Out__c"]
    assert (field["updateable"], field["type"], field["custom"]) == (True, "boolean", True)
    contact = emulator.records("Contact")[0]
    assert contact["Sales_Opt_Out__c"] is False
    path = f"sobjects/Contact/{contact['Id']}"
    assert api.call("PATCH", path, json={"Sales_Opt_Out__c": True}).status_code == 204


def test_a_field_is_read_as_it_was_made_and_an_unknown_one_is_empty(mdapi: Any) -> None:
    mdapi.CustomField.create([checkbox(mdapi, description="Set by the sync")])
    field = mdapi.CustomField.read([FIELD])
    assert (field.fullName, field.label, field.type) == (FIELD, "Sales Opt Out", "Checkbox")
    assert (field.defaultValue, field.description) == ("false", "Set by the sync")
    nothing = mdapi.CustomField.read(["Contact.Nothing__c"])
    assert getattr(nothing, "fullName", None) is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"fullName": "Contact.LastName__c", "type": "Text", "label": "X"}, "FIELD_INTEGRITY"),
        ({"fullName": "Contact.X", "type": "Checkbox", "label": "X"}, "FIELD_INTEGRITY"),
        ({"fullName": "Contact.1X__c", "type": "Checkbox", "label": "X"}, "FIELD_INTEGRITY"),
        ({"fullName": "Contact.X__c", "type": "Checkbox", "label": "X" * 41}, "FIELD_INTEGRITY"),
        ({"fullName": "Contact.X__c", "type": "Checkbox", "label": "X"}, "FIELD_INTEGRITY"),
        ({"fullName": "Contact.X__c", "type": "Location", "label": "X"}, "FIELD_INTEGRITY"),
        (
            {"fullName": "Nothing__c.X__c", "type": "Checkbox", "label": "X"},
            "INVALID_CROSS_REFERENCE_KEY",
        ),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(mdapi: Any, given: Any, code: str) -> None:
    with pytest.raises(Exception, match=code):
        mdapi.CustomField.create([mdapi.CustomField(**given)])


def test_a_name_is_taken_whatever_type_the_field_has(mdapi: Any) -> None:
    mdapi.CustomField.create([checkbox(mdapi)])
    text = mdapi.CustomField(fullName=FIELD, label="Text", type="Text", length=20)
    with pytest.raises(Exception, match="There is already a field named Sales_Opt_Out on Contact"):
        mdapi.CustomField.create([text])
    with pytest.raises(Exception, match="Cannot change field type from Checkbox to Text"):
        mdapi.CustomField.update([text])


def test_history_is_tracked_where_the_object_keeps_one(
    emulator: RunningEmulator, mdapi: Any
) -> None:
    tracked = mdapi.CustomField(fullName=f"Contact.{OPT_OUT}", trackHistory=True)
    with pytest.raises(Exception, match="does not enable history"):
        mdapi.CustomField.update([tracked])
    mdapi.CustomObject.update([mdapi.CustomObject(fullName="Contact", enableHistory=True)])
    mdapi.CustomField.update([tracked])
    assert mdapi.CustomField.read([f"Contact.{OPT_OUT}"]).trackHistory is True
    assert mdapi.CustomObject.read(["Contact"]).enableHistory is True
    contact = emulator.records("Contact")[0]
    emulator.edit(contact["Id"], HasOptedOutOfEmail=not contact[OPT_OUT])
    (row,) = emulator.records("ContactHistory")
    assert (row["Field"], row["NewValue"]) == (OPT_OUT, not contact[OPT_OUT])


def test_a_layout_is_read_changed_and_written_back(mdapi: Any, api: Api) -> None:
    layout = mdapi.Layout.read([LAYOUT])
    before = [item.field for item in layout.layoutSections[0].layoutColumns[0].layoutItems]
    layout.layoutSections[0].layoutColumns[1].layoutItems.append(
        {"behavior": "Edit", "field": OPT_OUT}
    )
    mdapi.Layout.update([layout])
    again = mdapi.Layout.read([LAYOUT]).layoutSections[0]
    assert [item.field for item in again.layoutColumns[0].layoutItems] == before
    assert again.layoutColumns[1].layoutItems[-1].field == OPT_OUT
    shown = api.get("sobjects/Contact/describe/layouts").json()["layouts"][0]
    names = {
        cell["layoutComponents"][0]["value"]
        for section in shown["detailLayoutSections"]
        for row in section["layoutRows"]
        for cell in row["layoutItems"]
    }
    assert OPT_OUT in names


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ({"behavior": "Edit", "field": "Nothing__c"}, "no CustomField named Contact.Nothing__c"),
        ({"behavior": "Edit", "field": "Email"}, "used more than once"),
    ],
)
def test_a_layout_with_a_wrong_item_is_refused_whole(
    mdapi: Any, item: dict[str, str], complaint: str
) -> None:
    layout = mdapi.Layout.read([LAYOUT])
    layout.layoutSections[0].layoutColumns[0].layoutItems.append(item)
    with pytest.raises(Exception, match=complaint):
        mdapi.Layout.update([layout])
    assert len(mdapi.Layout.read([LAYOUT]).layoutSections[0].layoutColumns[0].layoutItems) == 4


def test_components_are_listed_and_described(mdapi: Any) -> None:
    query = mdapi.ListMetadataQuery(type="Layout")
    names = {each.fullName for each in mdapi.list_metadata([query])}
    assert {LAYOUT, "Contact-Contact (Sales) Layout", "Lead-Lead Layout"} <= names
    kinds = {each.xmlName for each in mdapi.describe_metadata().metadataObjects}
    assert {"CustomObject", "Layout", "PermissionSet"} <= kinds


def test_a_field_and_a_layout_can_be_removed(
    mdapi: Any, api: Api, emulator: RunningEmulator
) -> None:
    mdapi.CustomField.create([checkbox(mdapi)])
    mdapi.CustomField.delete([FIELD])
    assert "Sales_Opt_Out__c" not in emulator.records("Contact")[0]
    mdapi.Layout.delete(["Contact-Contact (Sales) Layout"])
    with pytest.raises(Exception, match="only layout"):
        mdapi.Layout.delete([LAYOUT])


def test_an_upsert_makes_what_is_missing(mdapi: Any) -> None:
    for label in ("First", "Second"):
        field = checkbox(mdapi)
        field.label = label
        mdapi.CustomField.upsert([field])
        assert mdapi.CustomField.read([FIELD]).label == label


def test_a_user_without_the_permission_changes_nothing(
    emulator: RunningEmulator, mdapi: Any
) -> None:
    emulator.set_user_permission("CustomizeApplication", granted=False)
    with pytest.raises(Exception, match="INSUFFICIENT_ACCESS"):
        mdapi.CustomField.create([checkbox(mdapi)])
    with pytest.raises(Exception, match="INSUFFICIENT_ACCESS"):
        mdapi.Layout.update([mdapi.Layout.read([LAYOUT])])
    assert getattr(mdapi.CustomField.read([FIELD]), "fullName", None) is None


def test_a_session_that_ended_is_a_fault(emulator: RunningEmulator, mdapi: Any) -> None:
    emulator.revoke_sessions()
    with pytest.raises(Fault, match="INVALID_SESSION_ID"):
        mdapi.Layout.read([LAYOUT])


def test_more_than_ten_components_are_too_many(mdapi: Any) -> None:
    with pytest.raises(Fault, match="LIMIT_EXCEEDED"):
        mdapi.Layout.read([LAYOUT] * 11)


OBJECT = """<?xml version="1.0" encoding="UTF-8"?>
<CustomObject xmlns="http://soap.sforce.com/2006/04/metadata">
    <enableHistory>true</enableHistory>
    <fields>
        <fullName>Sales_Opt_Out__c</fullName>
        <defaultValue>false</defaultValue>
        <label>Sales Opt Out</label>
        <trackHistory>true</trackHistory>
        <type>{type}</type>
    </fields>
</CustomObject>"""
PERMISSION_SET = """<?xml version="1.0" encoding="UTF-8"?>
<PermissionSet xmlns="http://soap.sforce.com/2006/04/metadata">
    <fieldPermissions>
        <editable>true</editable>
        <field>Contact.Sales_Opt_Out__c</field>
        <readable>true</readable>
    </fieldPermissions>
    <label>Opt-Out Sync</label>
</PermissionSet>"""
PACKAGE = (
    '<Package xmlns="http://soap.sforce.com/2006/04/metadata"><version>65.0</version></Package>'
)


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("package.xml", PACKAGE)
        file.writestr("permissionsets/Opt_Out_Sync.permissionset", PERMISSION_SET)
        file.writestr("objects/Contact.object", OBJECT.format(type=kind))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["Checkbox", "Nonsense"])
def test_an_archive_is_deployed_whole_or_not_at_all(
    emulator: RunningEmulator, salesforce: Salesforce, tmp_path: Any, kind: str
) -> None:
    path = tmp_path / "deploy.zip"
    path.write_bytes(archive(kind))
    deploy_id = salesforce.deploy(str(path), sandbox=False)["asyncId"]
    for _ in range(50):
        status = salesforce.checkDeployStatus(deploy_id)
        if status["state"] != "InProgress":
            break
        time.sleep(0.1)
    worked = kind == "Checkbox"
    assert status["state"] == ("Succeeded" if worked else "Failed")
    names = salesforce.query("SELECT Name FROM PermissionSet WHERE Name = 'Opt_Out_Sync'")
    assert (names["totalSize"] == 1) is worked
    assert ("Sales_Opt_Out__c" in emulator.records("Contact")[0]) is worked


def test_a_deploy_waits_in_its_queue_until_it_is_its_turn(
    emulator: RunningEmulator, salesforce: Salesforce, tmp_path: Any
) -> None:
    path = tmp_path / "deploy.zip"
    path.write_bytes(archive("Checkbox"))
    emulator.set_options(deploy_polls=2)
    first = salesforce.deploy(str(path), sandbox=False)["asyncId"]
    for _ in range(2):
        assert salesforce.checkDeployStatus(first)["state"] == "Pending"
        assert "Sales_Opt_Out__c" not in emulator.records("Contact")[0]
    second = salesforce.deploy(str(path), sandbox=False)["asyncId"]
    assert salesforce.checkDeployStatus(first)["state"] == "Succeeded"
    assert "Sales_Opt_Out__c" in emulator.records("Contact")[0]
    assert salesforce.checkDeployStatus(second)["state"] == "Pending"
    emulator.reset()
    with pytest.raises(Exception, match="invalid parameter value"):
        salesforce.checkDeployStatus(second)


def test_an_archive_that_is_none_is_a_fault(emulator: RunningEmulator, api: Api) -> None:
    token = api.session.headers["Authorization"].split()[1]
    for content in (b"no zip", base64.b64encode(b"no zip")):
        body = (
            '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>'
            f'<s:SessionHeader xmlns:s="x"><s:sessionId>{token}</s:sessionId></s:SessionHeader>'
            f"</e:Header><e:Body><deploy><ZipFile>{content.decode()}</ZipFile></deploy></e:Body>"
            "</e:Envelope>"
        )
        answer = requests.post(f"{emulator.http_url}/services/Soap/m/65.0", data=body, timeout=10)
        assert (answer.status_code, "cannot be read" in answer.text) == (500, True)


@pytest.mark.parametrize("permission", ["ModifyMetadata", "ModifyAllData"])
def test_either_of_two_permissions_opens_the_metadata_api(
    emulator: RunningEmulator, mdapi: Any, permission: str
) -> None:
    """Message captured: "use of the Metadata API requires a user with ..."."""
    for each in ("ModifyMetadata", "ModifyAllData"):
        emulator.set_user_permission(each, granted=False)
    with pytest.raises(Fault, match="requires a user with the ModifyAllData or ModifyMetadata"):
        mdapi.Layout.read([LAYOUT])
    emulator.set_user_permission(permission, granted=True)
    assert mdapi.Layout.read([LAYOUT]).fullName == LAYOUT


def test_a_field_of_a_package_can_be_tracked_and_not_made(
    emulator: RunningEmulator, mdapi: Any
) -> None:
    name = "ns__Opt_Out__c"
    emulator.install_checkbox("Contact", name, "Opt Out")
    mdapi.CustomObject.update([mdapi.CustomObject(fullName="Contact", enableHistory=True)])
    mdapi.CustomField.update([checkbox(mdapi, f"Contact.{name}", trackHistory=True)])
    assert mdapi.CustomField.read([f"Contact.{name}"]).trackHistory is True
    with pytest.raises(Exception, match="FIELD_INTEGRITY"):
        mdapi.CustomField.create([checkbox(mdapi, f"Lead.{name}")])


def test_a_fault_is_shaped_as_captured(emulator: RunningEmulator) -> None:
    """Its own elements are in no namespace; from a published exchange."""
    emulator.set_user_permission("ModifyMetadata", granted=False)
    emulator.set_user_permission("ModifyAllData", granted=False)
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>'
        f'<s:SessionHeader xmlns:s="x"><s:sessionId>{emulator.log_in()}</s:sessionId>'
        "</s:SessionHeader></e:Header><e:Body><describeMetadata/></e:Body></e:Envelope>"
    )
    url = f"{emulator.http_url}/services/Soap/m/65.0"
    answer = requests.post(url, data=body, timeout=10)
    envelope = ET.fromstring(answer.content)
    assert answer.status_code == 500
    assert envelope.findtext(".//faultcode") == "sf:INSUFFICIENT_ACCESS"
    assert (envelope.findtext(".//faultstring") or "").startswith("INSUFFICIENT_ACCESS: use of")
