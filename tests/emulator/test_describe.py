import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"


def fields_of(api: Api, sobject: str) -> dict[str, dict[str, object]]:
    response = api.get(f"sobjects/{sobject}/describe")
    assert response.status_code == 200
    return {field["name"]: field for field in response.json()["fields"]}


def test_the_opt_out_field_is_described_with_its_recorded_flags(api: Api) -> None:
    for sobject in ("Contact", "Lead"):
        field = fields_of(api, sobject)[OPT_OUT]
        expected = {
            "type": "boolean",
            "label": "Email Opt Out",
            "createable": True,
            "updateable": True,
            "filterable": True,
            "groupable": True,
            "sortable": True,
            "defaultedOnCreate": True,
            "nillable": False,
            "permissionable": True,
            "defaultValue": False,
            "aggregatable": False,
            "custom": False,
            "soapType": "xsd:boolean",
        }
        assert {key: field[key] for key in expected} == expected


def test_system_fields_are_described_as_recorded(api: Api) -> None:
    fields = fields_of(api, "Contact")
    record_id = fields["Id"]
    assert (record_id["type"], record_id["soapType"], record_id["byteLength"]) == (
        "id",
        "tns:ID",
        18,
    )
    modified_by = fields["LastModifiedById"]
    assert modified_by["referenceTo"] == ["User"]
    assert modified_by["relationshipName"] == "LastModifiedBy"
    assert fields["Email"]["byteLength"] == 240
    assert fields["IsDeleted"]["updateable"] is False


def test_lead_has_the_fields_of_conversion(api: Api) -> None:
    assert {"Company", "Status", "IsConverted", "ConvertedDate", "ConvertedContactId"} <= set(
        fields_of(api, "Lead")
    )


def test_a_hidden_field_is_absent_everywhere(emulator: RunningEmulator, api: Api) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    record_id = emulator.records("Contact")[0]["Id"]
    assert OPT_OUT not in fields_of(api, "Contact")
    assert OPT_OUT in fields_of(api, "Lead")
    for soql in (
        f"SELECT {OPT_OUT} FROM Contact",
        f"SELECT Id FROM Contact WHERE {OPT_OUT} = true",
        f"SELECT Id FROM Contact ORDER BY {OPT_OUT}",
    ):
        refused = api.query(soql)
        assert refused.status_code == 400
        assert refused.json()[0]["errorCode"] == "INVALID_FIELD"
        assert f"No such column '{OPT_OUT}' on entity 'Contact'" in refused.json()[0]["message"]
    no_such_column = [
        {
            "message": f"No such column '{OPT_OUT}' on sobject of type Contact",
            "errorCode": "INVALID_FIELD",
        }
    ]
    written = api.call("PATCH", f"sobjects/Contact/{record_id}", json={OPT_OUT: True})
    assert (written.status_code, written.json()) == (400, no_such_column)
    read = api.get(f"sobjects/Contact/{record_id}", params={"fields": OPT_OUT})
    assert (read.status_code, read.json()) == (400, no_such_column)
    assert OPT_OUT not in api.get(f"sobjects/Contact/{record_id}").json()


def test_a_read_only_field_can_be_read_but_not_written(emulator: RunningEmulator, api: Api) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=True, updateable=False)
    record = emulator.records("Contact")[0]
    field = fields_of(api, "Contact")[OPT_OUT]
    assert (field["updateable"], field["createable"]) == (False, False)
    assert api.query(f"SELECT {OPT_OUT} FROM Contact LIMIT 1").status_code == 200
    refused = api.call("PATCH", f"sobjects/Contact/{record['Id']}", json={OPT_OUT: True})
    assert refused.status_code == 400
    assert refused.json() == [
        {
            "message": f"Unable to create/update fields: {OPT_OUT}. Please check the security "
            "settings of this field and verify that it is read/write for your profile or "
            "permission set.",
            "errorCode": "INVALID_FIELD_FOR_INSERT_UPDATE",
            "fields": [OPT_OUT],
        }
    ]
    assert emulator.record(record["Id"]) == record


def test_a_custom_checkbox_appears_once_installed(emulator: RunningEmulator, api: Api) -> None:
    assert "Sales_Opt_Out__c" not in fields_of(api, "Lead")
    emulator.install_checkbox("Lead", "Sales_Opt_Out__c", "Sales Opt Out")
    emulator.install_checkbox("Lead", "Sales_Opt_Out__c", "Sales Opt Out")
    field = fields_of(api, "Lead")["Sales_Opt_Out__c"]
    assert (field["custom"], field["updateable"], field["label"]) == (True, True, "Sales Opt Out")
    answer = api.query("SELECT COUNT() FROM Lead WHERE Sales_Opt_Out__c = false").json()
    assert answer["totalSize"] == len(
        [lead for lead in emulator.records("Lead") if not lead["IsDeleted"]]
    )
    lead = emulator.records("Lead")[0]["Id"]
    assert api.call("PATCH", f"sobjects/Lead/{lead}", json={"Sales_Opt_Out__c": True}).ok
    assert emulator.record(lead)["Sales_Opt_Out__c"] is True


@pytest.mark.parametrize("path", ["sobjects/Contakt/describe", "sobjects/Contakt"])
def test_an_unknown_object_is_not_found(api: Api, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 404
    assert response.json() == [
        {"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}
    ]


def test_the_objects_are_listed(api: Api) -> None:
    body = api.get("sobjects").json()
    assert body["maxBatchSize"] == 200
    prefixes = {each["name"]: each["keyPrefix"] for each in body["sobjects"]}
    assert prefixes == {
        "Contact": "003",
        "Lead": "00Q",
        "Account": "001",
        "User": "005",
        "Organization": "00D",
        "ContactHistory": "017",
        "LeadHistory": "017",
        "Profile": "00e",
        "PermissionSet": "0PS",
        "PermissionSetAssignment": "0Pa",
        "FieldPermissions": "01k",
        "ObjectPermissions": "110",
    }
    assert api.get("sobjects/Contact").json()["objectDescribe"]["keyPrefix"] == "003"


def test_system_fields_cannot_be_restricted(emulator: RunningEmulator, api: Api) -> None:
    document = {"object": "Contact", "field": "Id", "readable": False, "updateable": False}
    url = f"{emulator.http_url}/__emulator__/field-access"
    assert api.session.post(url, json=document, timeout=10).status_code == 400
