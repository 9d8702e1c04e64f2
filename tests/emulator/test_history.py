"""Field history: rows only while a field is tracked, whoever writes and by whatever way."""

import time
from datetime import datetime

import pytest

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
FIELDS = "Id, ContactId, Field, OldValue, NewValue, CreatedDate, CreatedById, IsDeleted"


@pytest.fixture
def contact(emulator: RunningEmulator) -> str:
    emulator.track_history("Contact", OPT_OUT)
    return next(
        str(each["Id"])
        for each in emulator.records("Contact")
        if not each["IsDeleted"] and not each[OPT_OUT]
    )


@pytest.fixture
def lead(emulator: RunningEmulator) -> str:
    emulator.track_history("Lead", OPT_OUT)
    return next(str(each["Id"]) for each in emulator.records("Lead") if not each[OPT_OUT])


def changes(emulator: RunningEmulator, record_id: str) -> list[tuple[object, object, object]]:
    sobject = "Lead" if record_id.startswith("00Q") else "Contact"
    return [
        (row["Field"], row["OldValue"], row["NewValue"])
        for row in emulator.records(f"{sobject}History")
        if row[f"{sobject}Id"] == record_id
    ]


def run_job(api: Api, kind: str, document: dict[str, str], upload: str | None = None) -> str:
    job_id = api.call("POST", f"jobs/{kind}", json=document).json()["id"]
    if upload is not None:
        api.call("PUT", f"jobs/{kind}/{job_id}/batches", data=upload)
        api.call("PATCH", f"jobs/{kind}/{job_id}", json={"state": "UploadComplete"})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if api.get(f"jobs/{kind}/{job_id}").json()["state"] == "JobComplete":
            return str(job_id)
        time.sleep(0.02)
    raise AssertionError("the job did not complete")


def test_without_tracking_nothing_is_written(emulator: RunningEmulator, api: Api) -> None:
    record = emulator.records("Contact")[0]["Id"]
    emulator.edit(record, HasOptedOutOfEmail=True)
    emulator.edit(record, HasOptedOutOfEmail=False)
    answer = api.query(f"SELECT {FIELDS} FROM ContactHistory")
    assert (answer.status_code, answer.json()["records"]) == (200, [])


def test_a_change_is_told_by_a_row(emulator: RunningEmulator, api: Api, contact: str) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=True)
    (row,) = api.query(f"SELECT {FIELDS} FROM ContactHistory").json()["records"]
    record = emulator.record(contact)
    assert row.pop("attributes")["url"].endswith(f"/sobjects/ContactHistory/{row['Id']}")
    assert row.pop("Id").startswith("017")
    assert row == {
        "ContactId": contact,
        "Field": OPT_OUT,
        "OldValue": False,
        "NewValue": True,
        "CreatedDate": record["LastModifiedDate"],
        "CreatedById": emulator.control("GET", "health")["human_user_id"],
        "IsDeleted": False,
    }
    assert datetime.strptime(row["CreatedDate"], "%Y-%m-%dT%H:%M:%S.000%z").microsecond == 0


def test_only_a_changed_tracked_field_has_a_row(emulator: RunningEmulator, contact: str) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=False)
    emulator.edit(contact, Title="Other")
    assert changes(emulator, contact) == []
    emulator.track_history("Contact", "Title")
    emulator.edit(contact, Title=None)
    assert changes(emulator, contact) == [("Title", "Other", None)]


def test_ending_the_tracking_keeps_the_rows(emulator: RunningEmulator, contact: str) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=True)
    emulator.track_history("Contact", OPT_OUT, tracked=False)
    emulator.edit(contact, HasOptedOutOfEmail=False)
    assert changes(emulator, contact) == [(OPT_OUT, False, True)]


def test_a_custom_checkbox_can_be_tracked(emulator: RunningEmulator, lead: str) -> None:
    emulator.install_checkbox("Lead", "Sales_Opt_Out__c", "Sales Opt Out")
    emulator.track_history("Lead", "Sales_Opt_Out__c")
    emulator.edit(lead, Sales_Opt_Out__c=True)
    assert changes(emulator, lead) == [("Sales_Opt_Out__c", False, True)]


def test_every_protocol_leaves_its_row(emulator: RunningEmulator, api: Api, contact: str) -> None:
    api.call("PATCH", f"sobjects/Contact/{contact}", json={OPT_OUT: True})
    record = {"attributes": {"type": "Contact"}, "id": contact, OPT_OUT: False}
    api.call("PATCH", "composite/sobjects", json={"records": [record]})
    ingest = {"operation": "update", "object": "Contact"}
    run_job(api, "ingest", ingest, f"Id,{OPT_OUT}\n{contact},true\n")
    (*rows,) = emulator.records("ContactHistory")
    assert [row["NewValue"] for row in rows] == [True, False, True]
    writer = emulator.control("GET", "health")["integration_user_id"]
    assert {row["CreatedById"] for row in rows} == {writer}


def test_a_row_that_is_not_saved_is_no_history(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    good = {"attributes": {"type": "Contact"}, "id": contact, OPT_OUT: True}
    bad = {"attributes": {"type": "Contact"}, "id": contact, "LastName": None}
    api.call("PATCH", "composite/sobjects", json={"records": [good, bad], "allOrNone": True})
    assert changes(emulator, contact) == []


def test_it_is_queried_by_field_record_and_time(
    emulator: RunningEmulator, api: Api, contact: str, lead: str
) -> None:
    emulator.edit(lead, HasOptedOutOfEmail=True)
    emulator.edit(contact, HasOptedOutOfEmail=True)
    emulator.edit(contact, HasOptedOutOfEmail=False)
    answer = api.query(
        f"SELECT NewValue FROM ContactHistory WHERE ContactId IN ('{contact}')"
        f" AND Field = '{OPT_OUT}' AND CreatedDate >= 2020-01-01T00:00:00Z"
        " ORDER BY CreatedDate DESC, Id DESC"
    )
    assert [row["NewValue"] for row in answer.json()["records"]] == [False, True]


@pytest.mark.parametrize("condition", ["NewValue = true", "OldValue IN ('x')", "NewValue LIKE 'x'"])
def test_values_cannot_be_filtered(api: Api, contact: str, condition: str) -> None:
    response = api.query(f"SELECT Id FROM ContactHistory WHERE {condition}")
    (error,) = response.json()
    assert (response.status_code, error["errorCode"]) == (400, "INVALID_FIELD")
    assert "can not be filtered in a query call" in error["message"]


def test_a_bulk_query_writes_words(emulator: RunningEmulator, api: Api, contact: str) -> None:
    emulator.track_history("Contact", "Title")
    emulator.edit(contact, HasOptedOutOfEmail=True, Title='The "Boss"')
    soql = "SELECT Field, OldValue, NewValue FROM ContactHistory ORDER BY Field"
    job = run_job(api, "query", {"operation": "query", "query": soql})
    first, *lines = api.get(f"jobs/query/{job}/results").text.splitlines()
    assert first == '"Field","OldValue","NewValue"'
    assert lines[0] == f'"{OPT_OUT}","false","true"'
    assert lines[1].endswith(',"The ""Boss"""')


def test_a_conversion_writes_the_leads_and_the_contacts_rows(
    emulator: RunningEmulator, lead: str
) -> None:
    emulator.track_history("Contact", OPT_OUT)
    emulator.edit(lead, HasOptedOutOfEmail=True)
    contact = emulator.convert_lead(lead)
    assert changes(emulator, lead) == [(OPT_OUT, False, True), ("leadConverted", None, None)]
    assert emulator.record(contact)[OPT_OUT] is True
    assert changes(emulator, contact) == [("created", None, None)]


def test_a_conversion_into_an_existing_contact_tells_what_it_filled(
    emulator: RunningEmulator, contact: str, lead: str
) -> None:
    emulator.edit(lead, Title="From the lead", HasOptedOutOfEmail=True)
    emulator.edit(contact, Title=None)
    emulator.track_history("Contact", "Title")
    emulator.convert_lead(lead, contact)
    assert changes(emulator, contact) == [("Title", None, "From the lead")]


def test_a_merge_is_told_by_the_survivor(emulator: RunningEmulator, contact: str) -> None:
    winner = next(
        each["Id"]
        for each in emulator.records("Contact")
        if each["Id"] != contact and not each["IsDeleted"]
    )
    emulator.edit(contact, HasOptedOutOfEmail=True)
    emulator.merge(winner, [contact])
    (event,) = changes(emulator, winner)
    assert event[0] == "contactMerged"
    assert changes(emulator, contact) == [(OPT_OUT, False, True)]


def test_the_rows_of_a_deleted_record_are_deleted_until_it_comes_back(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=True)
    soql = f"SELECT IsDeleted FROM ContactHistory WHERE ContactId = '{contact}'"
    emulator.delete(contact)
    assert api.query(soql).json()["totalSize"] == 0
    (row,) = api.get("queryAll", params={"q": soql}).json()["records"]
    assert row["IsDeleted"] is True
    emulator.undelete(contact)
    assert api.query(soql).json()["totalSize"] == 1


def test_rows_of_a_hidden_field_are_hidden(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    emulator.track_history("Contact", "Title")
    emulator.edit(contact, HasOptedOutOfEmail=True, Title="New")
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    rows = api.query("SELECT Field FROM ContactHistory").json()["records"]
    assert [row["Field"] for row in rows] == ["Title"]
    hidden = next(each for each in emulator.records("ContactHistory") if each["Field"] == OPT_OUT)
    assert api.get(f"sobjects/ContactHistory/{hidden['Id']}").status_code == 404


def test_the_history_goes_with_the_object(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    emulator.set_object_access("Contact", readable=False)
    assert api.query("SELECT Id FROM ContactHistory").json()[0]["errorCode"] == "INVALID_TYPE"
    assert api.get("sobjects/ContactHistory/describe").status_code == 404
    assert api.get("sobjects/LeadHistory/describe").status_code == 200


def test_its_values_are_described_as_documented(api: Api) -> None:
    described = api.get("sobjects/ContactHistory/describe").json()
    fields = {field["name"]: field for field in described["fields"]}
    value = fields["NewValue"]
    assert (value["type"], value["filterable"], value["sortable"]) == ("anyType", False, True)
    assert (described["updateable"], described["keyPrefix"]) == (False, "017")
    assert all(not field["updateable"] for field in fields.values())


def test_nobody_writes_history(emulator: RunningEmulator, api: Api, contact: str) -> None:
    emulator.edit(contact, HasOptedOutOfEmail=True)
    row = emulator.records("ContactHistory")[0]
    refused = api.call("PATCH", f"sobjects/ContactHistory/{row['Id']}", json={"Field": "x"})
    assert refused.status_code == 400
    assert emulator.records("ContactHistory") == [row]


@pytest.mark.parametrize(
    ("sobject", "field"), [("Account", "Phone"), ("Contact", "OwnerId"), ("Contact", "Name")]
)
def test_what_cannot_be_tracked_is_refused(
    emulator: RunningEmulator, sobject: str, field: str
) -> None:
    with pytest.raises(EmulatorError, match="400"):
        emulator.track_history(sobject, field)


def test_reset_ends_the_tracking(emulator: RunningEmulator, contact: str) -> None:
    emulator.reset()
    emulator.edit(contact, HasOptedOutOfEmail=True)
    assert emulator.records("ContactHistory") == []
