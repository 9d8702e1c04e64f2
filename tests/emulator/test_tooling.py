"""The Tooling API: custom fields and layouts as JSON."""

from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

CHECKBOX = {"type": "Checkbox", "label": "Sales Opt Out", "defaultValue": False}


def create(api: Api, full_name: str = "Contact.Sales_Opt_Out__c", **metadata: object) -> Any:
    document = {"FullName": full_name, "Metadata": {**CHECKBOX, **metadata}}
    return api.call("POST", "tooling/sobjects/CustomField", json=document)


def tooling(api: Api, soql: str) -> Any:
    return api.get("tooling/query", params={"q": soql})


def test_a_field_is_made_found_changed_and_removed(emulator: RunningEmulator, api: Api) -> None:
    made = create(api)
    assert made.status_code == 201
    assert list(made.json()) == ["id", "success", "errors", "warnings", "infos"]
    field_id = made.json()["id"]
    assert field_id.startswith("00N")
    soql = (
        "SELECT Id, DeveloperName, TableEnumOrId, EntityDefinition.QualifiedApiName, FullName,"
        " Metadata FROM CustomField WHERE DeveloperName = 'Sales_Opt_Out'"
    )
    (found,) = tooling(api, soql).json()["records"]
    assert (found["Id"], found["TableEnumOrId"]) == (field_id, "Contact")
    assert found["EntityDefinition"]["QualifiedApiName"] == "Contact"
    assert found["Metadata"] == CHECKBOX
    path = f"tooling/sobjects/CustomField/{field_id}"
    changed = {"Metadata": {**CHECKBOX, "label": "No Sales Mails"}}
    assert api.call("PATCH", path, json=changed).status_code == 204
    assert api.get(path).json()["Metadata"]["label"] == "No Sales Mails"
    assert api.call("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404
    assert "Sales_Opt_Out__c" not in emulator.records("Contact")[0]


def test_every_type_that_can_be_made_can_be_written_and_queried(
    emulator: RunningEmulator, api: Api
) -> None:
    fields = {
        "At__c": ({"type": "DateTime", "label": "At"}, "2026-01-02T03:04:05.000+0000"),
        "On__c": ({"type": "Date", "label": "On"}, "2026-01-02"),
        "Key__c": ({"type": "Text", "label": "Key", "length": 20, "externalId": True}, "k"),
        "Count__c": ({"type": "Number", "label": "Count", "precision": 18, "scale": 0}, 5.0),
        "Note__c": ({"type": "TextArea", "label": "Note"}, "a\nb"),
        "Site__c": ({"type": "Url", "label": "Site"}, "https://example.com"),
        "Mail__c": ({"type": "Email", "label": "Mail"}, "a@example.com"),
    }
    for name, (metadata, _) in fields.items():
        emulator.install_field("Lead", fullName=name, **metadata)
    lead = emulator.records("Lead")[0]["Id"]
    values = {name: value for name, (_, value) in fields.items()}
    assert api.call("PATCH", f"sobjects/Lead/{lead}", json=values).status_code == 204
    soql = f"SELECT {', '.join(fields)} FROM Lead WHERE Count__c >= 4.5 AND Key__c = 'K'"
    (record,) = api.query(soql).json()["records"]
    del record["attributes"]
    assert record == values


@pytest.mark.parametrize(
    ("full_name", "metadata", "status", "code"),
    [
        ("Contact.Sales_Opt_Out__c", {"type": "Text"}, 400, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.Sales_Opt_Out__c", {"label": None}, 400, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.Sales", {}, 400, "FIELD_INTEGRITY_EXCEPTION"),
        ("Nothing.Sales__c", {}, 404, "INVALID_CROSS_REFERENCE_KEY"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(
    api: Api, full_name: str, metadata: dict[str, Any], status: int, code: str
) -> None:
    refused = create(api, full_name, **metadata)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (status, code)


def test_a_name_is_taken_once(api: Api) -> None:
    assert create(api).status_code == 201
    refused = create(api)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (
        400,
        "DUPLICATE_DEVELOPER_NAME",
    )


def test_permissions_decide_who_reads_and_who_changes(emulator: RunningEmulator, api: Api) -> None:
    emulator.set_user_permission("CustomizeApplication", granted=False)
    refused = create(api)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (403, "INSUFFICIENT_ACCESS")
    assert tooling(api, "SELECT Id FROM CustomField").status_code == 200
    emulator.set_user_permission("ViewSetup", granted=False)
    assert tooling(api, "SELECT Id FROM CustomField").json()[0]["errorCode"] == "INVALID_TYPE"


def test_layouts_are_found_and_changed(api: Api) -> None:
    soql = "SELECT Id, Name FROM Layout WHERE TableEnumOrId = 'Contact' ORDER BY Name"
    found = tooling(api, soql).json()["records"]
    assert [each["Name"] for each in found] == ["Contact (Sales) Layout", "Contact Layout"]
    path = f"tooling/sobjects/Layout/{found[1]['Id']}"
    metadata = api.get(path).json()["Metadata"]
    items = metadata["layoutSections"][0]["layoutColumns"][1]["layoutItems"]
    items.append({"behavior": "Edit", "field": "HasOptedOutOfEmail"})
    assert api.call("PATCH", path, json={"Metadata": metadata}).status_code == 204
    assert api.get(path).json()["Metadata"] == metadata


def test_metadata_of_several_rows_cannot_be_asked_for(api: Api) -> None:
    refused = tooling(api, "SELECT Metadata FROM Layout")
    assert refused.status_code == 400
    assert "no more than one row for retrieval. Result size: 4" in refused.json()[0]["message"]


def test_its_objects_are_described(api: Api) -> None:
    fields = api.get("tooling/sobjects/CustomField/describe").json()["fields"]
    assert {"DeveloperName", "FullName", "Metadata"} <= {field["name"] for field in fields}
    assert api.get("tooling/sobjects/Nothing/describe").status_code == 404
