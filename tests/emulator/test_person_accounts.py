"""Person accounts: one person, an Account and a Contact; off unless switched on."""

import time
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
PERSON_OPT_OUT = "PersonHasOptedOutOfEmail"
SALES, PERSON_SALES = "Sales_Opt_Out__c", "Sales_Opt_Out__pc"


@pytest.fixture
def contact(emulator: RunningEmulator) -> str:
    """A Contact which becomes a person account in these tests."""
    return next(
        str(each["Id"])
        for each in emulator.records("Contact")
        if not each["IsDeleted"] and not each[OPT_OUT]
    )


@pytest.fixture
def account(emulator: RunningEmulator, contact: str) -> str:
    emulator.install_checkbox("Contact", SALES, "Sales Opt Out")
    emulator.enable_person_accounts()
    return emulator.make_person_account(contact)


def field_names(api: Api, sobject: str) -> dict[str, dict[str, Any]]:
    fields = api.get(f"sobjects/{sobject}/describe").json()["fields"]
    return {field["name"]: field for field in fields}


def patch(api: Api, sobject: str, record_id: str, **values: object) -> Any:
    return api.call("PATCH", f"sobjects/{sobject}/{record_id}", json=values)


def refusal(*fields: str) -> dict[str, object]:
    return {
        "message": f"Account: bad field names on insert/update call: {', '.join(fields)}",
        "errorCode": "INVALID_FIELD_FOR_INSERT_UPDATE",
        "fields": list(fields),
    }


def run_update(api: Api, sobject: str, upload: str) -> str:
    document = {"operation": "update", "object": sobject}
    job = f"jobs/ingest/{api.call('POST', 'jobs/ingest', json=document).json()['id']}"
    api.call("PUT", f"{job}/batches", data=upload)
    api.call("PATCH", job, json={"state": "UploadComplete"})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if api.get(job).json()["state"] == "JobComplete":
            return job
        time.sleep(0.02)
    raise AssertionError("the job did not complete")


def test_an_org_has_none_of_it_at_first(emulator: RunningEmulator, api: Api, contact: str) -> None:
    assert "IsPersonAccount" not in field_names(api, "Contact")
    assert PERSON_OPT_OUT not in field_names(api, "Account")
    assert api.query("SELECT IsPersonAccount FROM Contact").status_code == 400
    with pytest.raises(EmulatorError, match="no person accounts"):
        emulator.make_person_account(contact)


def test_enabling_shows_the_fields_everywhere(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    emulator.install_checkbox("Contact", SALES, "Sales Opt Out")
    emulator.enable_person_accounts()
    emulator.enable_person_accounts()
    assert field_names(api, "Contact")["IsPersonAccount"]["updateable"] is False
    fields = field_names(api, "Account")
    assert {"IsPersonAccount", "PersonContactId", "PersonEmail", "FirstName"} <= set(fields)
    assert fields[PERSON_OPT_OUT]["updateable"] is True
    assert fields[PERSON_OPT_OUT]["label"] == "Email Opt Out"
    assert fields[PERSON_SALES]["custom"] is True
    answer = api.query("SELECT COUNT() FROM Contact WHERE IsPersonAccount = true")
    assert answer.json()["totalSize"] == 0


def test_a_custom_checkbox_installed_later_is_mirrored_too(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.enable_person_accounts()
    emulator.install_checkbox("Contact", SALES, "Sales Opt Out")
    assert PERSON_SALES in field_names(api, "Account")


def test_a_contact_becomes_a_person_account(
    emulator: RunningEmulator, api: Api, contact: str, account: str
) -> None:
    soql = f"SELECT IsPersonAccount, AccountId FROM Contact WHERE Id = '{contact}'"
    (found,) = api.query(soql).json()["records"]
    assert (found["IsPersonAccount"], found["AccountId"]) == (True, account)
    person = emulator.record(contact)
    half = api.get(f"sobjects/Account/{account}").json()
    assert (half["IsPersonAccount"], half["PersonContactId"]) == (True, contact)
    assert half["Name"] == person["Name"] == f"{half['FirstName']} {half['LastName']}"
    assert (half["PersonEmail"], half[PERSON_OPT_OUT]) == (person["Email"], False)
    assert half["LastModifiedDate"] == person["LastModifiedDate"]
    with pytest.raises(EmulatorError, match="is a person account"):
        emulator.make_person_account(contact)


def test_a_business_account_shows_no_person(api: Api, account: str) -> None:
    soql = f"SELECT {PERSON_OPT_OUT}, PersonEmail FROM Account WHERE IsPersonAccount = false"
    records = api.query(soql).json()["records"]
    assert {(each[PERSON_OPT_OUT], each["PersonEmail"]) for each in records} == {(False, None)}


@pytest.mark.parametrize("value", [True, False])
def test_the_persons_contact_is_not_written_directly(
    emulator: RunningEmulator, api: Api, contact: str, account: str, value: bool
) -> None:
    before = emulator.record(contact)
    refused = patch(api, "Contact", contact, **{OPT_OUT: value, SALES: value})
    assert (refused.status_code, refused.json()) == (400, [refusal(OPT_OUT, SALES)])
    record = {"attributes": {"type": "Contact"}, "id": contact, OPT_OUT: value}
    (result,) = api.call("PATCH", "composite/sobjects", json={"records": [record]}).json()
    assert result["errors"][0]["statusCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    job = run_update(api, "Contact", f"Id,{OPT_OUT}\n{contact},{value}\n")
    failed = api.get(f"{job}/failedResults").text.splitlines()
    assert "INVALID_FIELD_FOR_INSERT_UPDATE:Account: bad field names" in failed[1]
    assert emulator.record(contact) == before


def test_the_account_changes_both(
    emulator: RunningEmulator, api: Api, contact: str, account: str
) -> None:
    emulator.track_history("Contact", OPT_OUT)
    emulator.track_history("Account", PERSON_OPT_OUT)
    values = {PERSON_OPT_OUT: True, PERSON_SALES: True, "Phone": "1"}
    assert patch(api, "Account", account, **values).status_code == 204
    person, half = emulator.record(contact), emulator.record(account)
    assert (person[OPT_OUT], person[SALES]) == (True, True)
    assert (half[PERSON_OPT_OUT], half[PERSON_SALES], half["Phone"]) == (True, True, "1")
    writer = emulator.control("GET", "health")["integration_user_id"]
    assert person["LastModifiedById"] == half["LastModifiedById"] == writer
    assert person["LastModifiedDate"] == half["LastModifiedDate"]
    assert emulator.records("ContactHistory") == []
    (row,) = emulator.records("AccountHistory")
    assert (row["AccountId"], row["Field"]) == (account, PERSON_OPT_OUT)
    assert (row["OldValue"], row["NewValue"], row["CreatedById"]) == (False, True, writer)


def test_the_history_of_a_person_is_tracked_with_the_account_alone(
    emulator: RunningEmulator, api: Api, contact: str, account: str
) -> None:
    business = next(
        each["Id"]
        for each in emulator.records("Contact")
        if not (each["IsPersonAccount"] or each["IsDeleted"])
    )
    emulator.track_history("Account", PERSON_OPT_OUT)
    for record in (contact, business):
        emulator.edit(record, **{OPT_OUT: False})
        emulator.edit(record, **{OPT_OUT: True})
    (row,) = api.query("SELECT AccountId, Field, NewValue FROM AccountHistory").json()["records"]
    assert (row["AccountId"], row["Field"], row["NewValue"]) == (account, PERSON_OPT_OUT, True)
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    assert api.query("SELECT Id FROM AccountHistory").json()["totalSize"] == 0


@pytest.mark.parametrize("way", ["collection", "bulk"])
def test_many_accounts_are_written_at_once(
    emulator: RunningEmulator, api: Api, contact: str, account: str, way: str
) -> None:
    if way == "bulk":
        run_update(api, "Account", f"Id,{PERSON_OPT_OUT}\n{account},true\n")
    else:
        record = {"attributes": {"type": "Account"}, "id": account, PERSON_OPT_OUT: True}
        answer = api.call("PATCH", "composite/sobjects", json={"records": [record]})
        assert answer.json() == [{"id": account, "success": True, "errors": []}]
    assert emulator.record(contact)[OPT_OUT] is True


def test_a_bulk_query_reads_the_person(
    emulator: RunningEmulator, api: Api, contact: str, account: str
) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=True)
    soql = f"SELECT Id FROM Account WHERE {PERSON_OPT_OUT} = true"
    assert [each["Id"] for each in api.query(soql).json()["records"]] == [account]
    document = {
        "operation": "queryAll",
        "query": f"SELECT {PERSON_OPT_OUT} FROM Account WHERE Id = '{account}'",
    }
    job = f"jobs/query/{api.call('POST', 'jobs/query', json=document).json()['id']}"
    deadline = time.monotonic() + 10
    while api.get(job).json()["state"] != "JobComplete":
        assert time.monotonic() < deadline
    assert api.get(f"{job}/results").text == f'"{PERSON_OPT_OUT}"\n"true"\n'


def test_a_human_changes_either_half(emulator: RunningEmulator, contact: str, account: str) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=True, LastName="Renamed")
    half = emulator.record(account)
    assert half[PERSON_OPT_OUT] is True
    assert half["Name"].endswith("Renamed")
    emulator.edit(account, PersonHasOptedOutOfEmail=False)
    assert emulator.record(contact)[OPT_OUT] is False


@pytest.mark.parametrize(("sobject", "field"), [("Account", PERSON_OPT_OUT), ("Contact", OPT_OUT)])
def test_field_level_security_of_either_half_counts(
    emulator: RunningEmulator, api: Api, account: str, sobject: str, field: str
) -> None:
    emulator.set_field_access(sobject, field, readable=True, updateable=False)
    assert field_names(api, "Account")[PERSON_OPT_OUT]["updateable"] is False
    (error,) = patch(api, "Account", account, **{PERSON_OPT_OUT: True}).json()
    assert error["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert error["message"].startswith(f"Unable to create/update fields: {PERSON_OPT_OUT}. ")
    emulator.set_field_access(sobject, field, readable=False, updateable=False)
    assert PERSON_OPT_OUT not in field_names(api, "Account")
    assert patch(api, "Account", account, **{PERSON_OPT_OUT: True}).json() == [
        {
            "message": f"No such column '{PERSON_OPT_OUT}' on sobject of type Account",
            "errorCode": "INVALID_FIELD",
        }
    ]


def test_the_other_half_s_fields_are_refused(
    emulator: RunningEmulator, api: Api, account: str
) -> None:
    business = next(
        each["Id"] for each in emulator.records("Account") if not each["IsPersonAccount"]
    )
    assert patch(api, "Account", business, **{PERSON_OPT_OUT: True}).json() == [
        refusal(PERSON_OPT_OUT)
    ]
    assert patch(api, "Account", account, Name="Other").json() == [refusal("Name")]
    assert patch(api, "Account", business, Name="Other").status_code == 204


def test_other_contacts_are_written_as_ever(
    emulator: RunningEmulator, api: Api, contact: str, account: str
) -> None:
    other = next(
        each
        for each in emulator.records("Contact")
        if not each["IsPersonAccount"] and not each["IsDeleted"]
    )
    before = emulator.record(other["AccountId"])
    assert patch(api, "Contact", other["Id"], **{OPT_OUT: True}).status_code == 204
    assert emulator.record(other["AccountId"]) == before


@pytest.mark.parametrize("half", ["contact", "account"])
def test_both_halves_are_deleted_and_come_back_together(
    emulator: RunningEmulator, contact: str, account: str, half: str
) -> None:
    record_id = {"contact": contact, "account": account}[half]
    emulator.delete(record_id)
    assert [emulator.record(each)["IsDeleted"] for each in (contact, account)] == [True, True]
    emulator.undelete(record_id)
    assert [emulator.record(each)["IsDeleted"] for each in (contact, account)] == [False, False]


def test_reset_takes_them_away(
    emulator: RunningEmulator, api: Api, contact: str, account: str
) -> None:
    emulator.reset()
    assert "IsPersonAccount" not in field_names(api, "Contact")
    assert patch(api, "Contact", contact, **{OPT_OUT: True}).status_code == 204
    emulator.enable_person_accounts()
    assert emulator.make_person_account(contact).startswith("001")


@pytest.mark.parametrize("half", ["Contact", "Account"])
def test_person_accounts_are_merged_with_both_halves(
    emulator: RunningEmulator, contact: str, account: str, half: str
) -> None:
    other = next(
        each["Id"]
        for each in emulator.records("Contact")
        if not each["IsPersonAccount"] and not each["IsDeleted"]
    )
    with pytest.raises(EmulatorError, match="cannot be merged"):
        emulator.merge(contact, [other])
    other_account = emulator.make_person_account(other)
    winner, loser = (contact, other) if half == "Contact" else (account, other_account)
    emulator.merge(winner, [loser])
    for gone, master in ((other, contact), (other_account, account)):
        record = emulator.record(gone)
        assert (record["IsDeleted"], record["MasterRecordId"]) == (True, master)
    assert emulator.record(account)["IsDeleted"] is False
    assert emulator.record(contact)["MasterRecordId"] is None


def test_business_accounts_are_not_merged(emulator: RunningEmulator) -> None:
    first, second = [each["Id"] for each in emulator.records("Account")][:2]
    with pytest.raises(EmulatorError, match="NOT_EMULATED"):
        emulator.merge(first, [second])


def test_a_lead_is_converted_into_a_person_account(
    emulator: RunningEmulator, contact: str, account: str
) -> None:
    lead = next(each["Id"] for each in emulator.records("Lead") if not each["IsConverted"])
    emulator.edit(contact, Title=None)
    emulator.edit(lead, Title="From the lead", HasOptedOutOfEmail=True)
    emulator.convert_lead(lead, contact)
    half = emulator.record(account)
    assert (half["PersonTitle"], half[PERSON_OPT_OUT]) == ("From the lead", False)
    assert half["LastModifiedDate"] == emulator.record(contact)["LastModifiedDate"]
