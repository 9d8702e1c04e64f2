"""An object the integration user has no Read on: to that user it does not exist."""

import time
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

NOT_FOUND = [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]


@pytest.fixture
def lead(emulator: RunningEmulator) -> str:
    """A Lead, on which nobody has Read any more."""
    emulator.set_object_access("Lead", readable=False)
    return str(emulator.records("Lead")[0]["Id"])


def ended(api: Api, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        job: dict[str, Any] = api.get(path).json()
        if job["state"] in ("JobComplete", "Failed", "Aborted"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is still {job['state']}")


def test_it_is_not_described_and_not_listed(api: Api, lead: str) -> None:
    for path in ("sobjects/Lead", "sobjects/lead/describe", f"sobjects/Lead/{lead}"):
        response = api.get(path)
        assert (response.status_code, response.json()) == (404, NOT_FOUND)
    names = {each["name"] for each in api.get("sobjects").json()["sobjects"]}
    assert "Lead" not in names
    assert "Contact" in names
    assert api.get("sobjects/Contact/describe").status_code == 200


def test_a_query_calls_it_an_unsupported_type(api: Api, lead: str) -> None:
    response = api.query("SELECT Id FROM Lead")
    (error,) = response.json()
    assert (response.status_code, error["errorCode"]) == (400, "INVALID_TYPE")
    assert "sObject type 'Lead' is not supported" in error["message"]


def test_it_cannot_be_written(emulator: RunningEmulator, api: Api, lead: str) -> None:
    before = emulator.record(lead)
    one = api.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "CEO"})
    record = {"attributes": {"type": "Lead"}, "id": lead, "Title": "CEO"}
    many = api.call("PATCH", "composite/sobjects", json={"records": [record]})
    read = api.call("POST", "composite/sobjects/Lead", json={"ids": [lead], "fields": ["Id"]})
    assert (one.status_code, many.status_code, read.status_code) == (404, 400, 404)
    assert many.json()[0]["errorCode"] == "INVALID_TYPE"
    assert emulator.record(lead) == before


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("query", {"operation": "queryAll", "query": "SELECT Id FROM Lead"}),
        ("ingest", {"operation": "update", "object": "Lead"}),
    ],
)
def test_a_bulk_job_for_it_is_refused(
    api: Api, lead: str, kind: str, document: dict[str, str]
) -> None:
    response = api.call("POST", f"jobs/{kind}", json=document)
    assert (response.status_code, response.json()[0]["errorCode"]) == (400, "INVALIDJOB")


def test_a_query_job_in_the_queue_fails(emulator: RunningEmulator, api: Api) -> None:
    emulator.hold_jobs(True)
    document = {"operation": "query", "query": "SELECT Id FROM Lead"}
    job_id = api.call("POST", "jobs/query", json=document).json()["id"]
    emulator.set_object_access("Lead", readable=False)
    emulator.hold_jobs(False)
    job = ended(api, f"jobs/query/{job_id}")
    assert job["state"] == "Failed"
    assert job["errorMessage"].startswith("InvalidBatch : Failed to process query: INVALID_TYPE: ")


def test_an_ingest_job_in_the_queue_fails(emulator: RunningEmulator, api: Api) -> None:
    before = emulator.records("Lead")[0]
    emulator.hold_jobs(True)
    job_id = api.call("POST", "jobs/ingest", json={"operation": "update", "object": "Lead"}).json()[
        "id"
    ]
    api.call("PUT", f"jobs/ingest/{job_id}/batches", data=f"Id,Title\n{before['Id']},CEO\n")
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    emulator.set_object_access("Lead", readable=False)
    emulator.hold_jobs(False)
    job = ended(api, f"jobs/ingest/{job_id}")
    assert (job["state"], job["numberRecordsProcessed"]) == ("Failed", 0)
    assert emulator.record(before["Id"]) == before


def test_people_and_the_control_api_still_reach_it(emulator: RunningEmulator, lead: str) -> None:
    emulator.install_checkbox("Lead", "Sales_Opt_Out__c", "Sales Opt Out")
    emulator.edit(lead, Sales_Opt_Out__c=True)
    assert emulator.record(lead)["Sales_Opt_Out__c"] is True


@pytest.mark.parametrize("way_back", ["order", "restore", "reset"])
def test_it_comes_back(emulator: RunningEmulator, api: Api, lead: str, way_back: str) -> None:
    if way_back == "order":
        emulator.set_object_access("Lead", readable=True)
    else:
        getattr(emulator, way_back)()
    assert api.get("sobjects/Lead/describe").status_code == 200
    assert api.get(f"sobjects/Lead/{lead}").status_code == 200


@pytest.mark.parametrize("document", [{"object": "Lead"}, {"readable": False}])
def test_an_incomplete_order_is_refused(
    emulator: RunningEmulator, document: dict[str, object]
) -> None:
    with pytest.raises(EmulatorError, match="400"):
        emulator.control("POST", "object-access", document)
