"""Bulk API 1.0: jobs of batches in JSON, CSV and XML."""

import json
import re
import time
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
NAMESPACE = "{http://www.force.com/2009/06/asyncapi/dataload}"
JOB = """<jobInfo xmlns="http://www.force.com/2009/06/asyncapi/dataload">
<operation>{operation}</operation><object>Contact</object>
<concurrencyMode>Parallel</concurrencyMode><contentType>{kind}</contentType></jobInfo>"""
# From CumulusCI's cassettes: POST job answers 201 with these elements in this order.
RECORDED = [
    "id", "operation", "object", "createdById", "createdDate", "systemModstamp", "state",
    "concurrencyMode", "contentType", "numberBatchesQueued", "numberBatchesInProgress",
    "numberBatchesCompleted", "numberBatchesFailed", "numberBatchesTotal",
    "numberRecordsProcessed", "numberRetries", "apiVersion", "numberRecordsFailed",
    "totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime",
]  # fmt: skip


class Bulk1:
    """A session of Bulk API 1.0, whose header is its own."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.session = requests.Session()
        self.session.headers["X-SFDC-Session"] = emulator.log_in()
        self._root = f"{emulator.http_url}/services/async/62.0"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, f"{self._root}/{path}", timeout=20, **options)

    def job(self, **info: object) -> str:
        answer = self.call("POST", "job", json={"object": "Contact", **info})
        assert answer.status_code == 201, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def batch(self, job_id: str, body: bytes | str, **headers: str) -> dict[str, Any]:
        added = self.call("POST", f"job/{job_id}/batch", data=body, headers=headers)
        assert added.status_code == 201, added.text
        batch_id = re.search(r"751[A-Za-z0-9]{15}", added.text)
        assert batch_id
        return self.ended(job_id, batch_id[0])

    def ended(self, job_id: str, batch_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            answer = self.call("GET", f"job/{job_id}/batch/{batch_id}")
            info = values(answer)
            if info["state"] in ("Completed", "Failed", "NotProcessed"):
                return info
            time.sleep(0.02)
        raise AssertionError("the batch did not end")

    def result(self, job_id: str, batch: dict[str, Any], more: str = "") -> requests.Response:
        return self.call("GET", f"job/{job_id}/batch/{batch['id']}/result{more}")


def values(answer: requests.Response) -> dict[str, Any]:
    if answer.headers["Content-Type"] == "application/json":
        found: dict[str, Any] = answer.json()
        return found
    return {each.tag.removeprefix(NAMESPACE): each.text for each in ET.fromstring(answer.content)}


@pytest.fixture
def bulk(emulator: RunningEmulator) -> Bulk1:
    return Bulk1(emulator)


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    return [each["Id"] for each in emulator.records("Contact")][:4]


def test_a_job_in_xml_lives_as_recorded(
    emulator: RunningEmulator, bulk: Bulk1, contacts: list[str]
) -> None:
    """From CumulusCI's TestUpsert cassettes: 201, 201, 200; CSV results with these columns."""
    xml = {"Content-Type": "application/xml"}
    job = JOB.format(operation="update", kind="CSV")
    made = bulk.call("POST", "job", data=job, headers=xml)
    assert (made.status_code, made.headers["Content-Type"]) == (201, "application/xml")
    root = ET.fromstring(made.content)
    assert [each.tag.removeprefix(NAMESPACE) for each in root] == RECORDED
    info = values(made)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", info["createdDate"])
    batch = bulk.batch(info["id"], f"Id,{OPT_OUT}\n{contacts[0]},true\nx,true\n", **xml)
    assert (batch["state"], batch["numberRecordsFailed"]) == ("Completed", "1")
    result = bulk.result(info["id"], batch)
    assert result.headers["Content-Type"] == "text/csv"
    lines = result.text.splitlines()
    assert lines[0] == '"Id","Success","Created","Error"'
    assert lines[1] == f'"{contacts[0]}","true","false",""'
    assert lines[2].startswith('"","false","false","MALFORMED_ID:Contact ID')
    closing = '<jobInfo xmlns="http://www.force.com/2009/06/asyncapi/dataload"><state>Closed</state></jobInfo>'
    closed = bulk.call("POST", f"job/{info['id']}", data=closing, headers=xml)
    assert (closed.status_code, values(closed)["state"]) == (200, "Closed")
    assert emulator.record(contacts[0])[OPT_OUT] is True
    late = bulk.call("POST", f"job/{info['id']}/batch", data="Id\n", headers=xml)
    assert (late.status_code, values(late)["exceptionCode"]) == (400, "InvalidJobState")


@pytest.mark.parametrize("mode", [0, 1, "Parallel", "Serial"])
def test_the_mode_of_a_job_may_be_a_number(bulk: Bulk1, mode: object) -> None:
    """simple-salesforce has sent 0 and 1 since its version 1.11."""
    job_id = bulk.job(operation="update", contentType="JSON", concurrencyMode=mode)
    info = bulk.call("GET", f"job/{job_id}", headers={"Accept": "application/json"}).json()
    assert info["concurrencyMode"] == ("Serial" if mode in (1, "Serial") else "Parallel")
    assert list(info) == sorted(info)


def test_results_in_json_are_in_the_order_of_the_records(bulk: Bulk1, contacts: list[str]) -> None:
    job_id = bulk.job(operation="update", contentType="JSON")
    rows = [
        {"Id": contacts[1], OPT_OUT: True},
        {OPT_OUT: True},
        {"Id": contacts[0], OPT_OUT: None},
        {"Id": contacts[0], "Title": None},
    ]
    batch = bulk.batch(job_id, json.dumps(rows))
    assert (batch["numberRecordsProcessed"], batch["numberRecordsFailed"]) == (4, 2)
    first, second, third, fourth = bulk.result(job_id, batch).json()
    assert first == {"success": True, "created": False, "id": contacts[1], "errors": []}
    assert second["errors"][0]["statusCode"] == "MISSING_ARGUMENT"
    assert third["errors"][0].keys() == {"message", "fields", "statusCode", "extendedErrorDetails"}
    assert fourth["success"] is True
    request = bulk.call("GET", f"job/{job_id}/batch/{batch['id']}/request")
    assert request.json() == rows


def test_records_in_xml_are_saved(emulator: RunningEmulator, bulk: Bulk1) -> None:
    job_id = bulk.job(operation="insert", contentType="XML")
    body = (
        '<sObjects xmlns="http://www.force.com/2009/06/asyncapi/dataload">'
        "<sObject><LastName>Sitwell &amp; Co</LastName></sObject>"
        "<sObject><FirstName>Nobody</FirstName></sObject></sObjects>"
    )
    batch = bulk.batch(job_id, body)
    result = ET.fromstring(bulk.result(job_id, batch).content)
    first, second = result
    made = first.findtext(f"{NAMESPACE}id") or ""
    assert first.findtext(f"{NAMESPACE}created") == "true"
    assert emulator.record(made)["LastName"] == "Sitwell & Co"
    assert second.findtext(f".//{NAMESPACE}statusCode") == "REQUIRED_FIELD_MISSING"


@pytest.mark.parametrize(
    ("operation", "row", "created"),
    [
        ("insert", {"LastName": "X"}, True),
        ("upsert", {"LastName": "X", "Email": "new@example.net"}, True),
        ("delete", {}, False),
        ("hardDelete", {}, False),
    ],
)
def test_every_operation_works(
    bulk: Bulk1, contacts: list[str], operation: str, row: dict[str, str], created: bool
) -> None:
    key = {"externalIdFieldName": "Email"} if operation == "upsert" else {}
    job_id = bulk.job(operation=operation, contentType="JSON", **key)
    record = row or {"Id": contacts[0]}
    batch = bulk.batch(job_id, json.dumps([record]))
    (result,) = bulk.result(job_id, batch).json()
    assert (result["success"], result["created"]) == (True, created)


def test_an_unknown_field_fails_the_batch_as_captured(bulk: Bulk1, contacts: list[str]) -> None:
    """ForceCLI/force #413 and simple-salesforce #540."""
    job_id = bulk.job(operation="update", contentType="JSON")
    batch = bulk.batch(job_id, json.dumps([{"Id": contacts[0], "Report_Date__c": "x"}]))
    assert batch["state"] == "Failed"
    assert batch["stateMessage"] == "InvalidBatch : Field name not found : Report_Date__c"
    assert batch["numberRecordsProcessed"] == 0
    result = bulk.result(job_id, batch)
    json_headers = {"Accept": "application/json"}
    result = bulk.call("GET", f"job/{job_id}/batch/{batch['id']}/result", headers=json_headers)
    assert (result.status_code, result.json()) == (
        400,
        {"exceptionCode": "InvalidBatch", "exceptionMessage": "Records not processed"},
    )


@pytest.mark.parametrize(("kind", "body"), [("JSON", "{}"), ("CSV", "Id,X\n1\n"), ("XML", "<a")])
def test_a_batch_that_cannot_be_read_fails(bulk: Bulk1, kind: str, body: str) -> None:
    job_id = bulk.job(operation="update", contentType=kind)
    assert bulk.batch(job_id, body)["stateMessage"] == f"InvalidBatch : Unable to parse {kind}"


def test_a_query_in_json_is_answered_as_recorded(emulator: RunningEmulator, bulk: Bulk1) -> None:
    """From CumulusCI, v62: one result Id of 15 characters from 752; times are milliseconds."""
    job_id = bulk.job(operation="query", contentType="JSON")
    batch = bulk.batch(job_id, "SELECT Id, CreatedDate, Account.Name FROM Contact ORDER BY Id")
    (result_id,) = bulk.result(job_id, batch).json()
    assert re.fullmatch(r"752[A-Za-z0-9]{12}", result_id)
    records = bulk.result(job_id, batch, f"/{result_id}").json()
    known = emulator.records("Contact")
    assert [each["Id"] for each in records] == [each["Id"] for each in known]
    assert records[0]["attributes"]["url"].startswith("/services/data/v62.0/sobjects/Contact/")
    assert isinstance(records[0]["CreatedDate"], int)
    assert records[0]["Account"]["attributes"]["type"] == "Account"


@pytest.mark.parametrize("kind", ["CSV", "XML"])
def test_a_query_is_answered_in_other_formats(bulk: Bulk1, kind: str) -> None:
    job_id = bulk.job(operation="queryAll", contentType=kind)
    batch = bulk.batch(job_id, "SELECT Id, Email FROM Lead LIMIT 3")
    listed = ET.fromstring(bulk.result(job_id, batch).content)
    (result_id,) = [each.text for each in listed]
    text = bulk.result(job_id, batch, f"/{result_id}").text
    if kind == "CSV":
        assert text.splitlines()[0] == '"Id","Email"'
    else:
        assert len(ET.fromstring(text)) == 3


def test_a_query_that_cannot_run_fails_its_batch(bulk: Bulk1) -> None:
    job_id = bulk.job(operation="query", contentType="JSON")
    batch = bulk.batch(job_id, "SELECT Nothing__c FROM Contact")
    assert batch["state"] == "Failed"
    assert batch["stateMessage"].startswith("InvalidBatch : Failed to process query: INVALID_FIELD")


def test_a_chunked_query_is_cut_by_ids(emulator: RunningEmulator, bulk: Bulk1) -> None:
    chunking = {"Sforce-Enable-PKChunking": "chunkSize=50"}
    info = {"object": "Contact", "operation": "query", "contentType": "JSON"}
    job_id = bulk.call("POST", "job", json=info, headers=chunking).json()["id"]
    original = bulk.batch(job_id, "SELECT Id FROM Contact WHERE LastName != null OR Email = null")
    assert original["state"] == "NotProcessed"
    listed = bulk.call("GET", f"job/{job_id}/batch").json()["batchInfo"]
    assert [each["state"] for each in listed].count("NotProcessed") == 1
    ids = []
    for batch in listed[1:]:
        done = bulk.ended(job_id, batch["id"])
        assert done["numberRecordsProcessed"] <= 50
        (result_id,) = bulk.result(job_id, done).json()
        ids += [each["Id"] for each in bulk.result(job_id, done, f"/{result_id}").json()]
    assert ids == [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]]


def test_an_aborted_job_takes_no_batches(bulk: Bulk1) -> None:
    job_id = bulk.job(operation="update", contentType="JSON")
    aborted = bulk.call("POST", f"job/{job_id}", json={"state": "Aborted"})
    assert aborted.json()["state"] == "Aborted"
    again = bulk.call("POST", f"job/{job_id}", json={"state": "Aborted"})
    assert again.json()["exceptionCode"] == "InvalidJobState"
    assert bulk.call("POST", f"job/{job_id}/batch", data="[]").status_code == 400


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"operation": "frobnicate", "object": "Contact"}, "InvalidJob"),
        ({"operation": "update", "object": "Nothing"}, "InvalidJob"),
        ({"operation": "upsert", "object": "Contact"}, "InvalidJob"),
        ({"operation": "update", "object": "Contact", "contentType": "PDF"}, "InvalidJob"),
        ([], "InvalidEntity"),
    ],
)
def test_a_job_that_cannot_be_is_refused(bulk: Bulk1, info: object, code: str) -> None:
    refused = bulk.call("POST", "job", json=info)
    assert (refused.status_code, refused.json()["exceptionCode"]) == (400, code)


def test_a_session_that_ended_is_said_in_its_own_way(
    emulator: RunningEmulator, bulk: Bulk1
) -> None:
    """400 and InvalidSessionId: what jsforce looks for before it logs in again."""
    emulator.revoke_sessions()
    refused = bulk.call("GET", "job/750000000000001AAA")
    assert refused.status_code == 400
    assert "<exceptionCode>InvalidSessionId</exceptionCode>" in refused.text.replace("\n ", "")


def test_unknown_jobs_versions_and_results_are_refused(
    emulator: RunningEmulator, bulk: Bulk1, api: Api
) -> None:
    json_headers = {"Accept": "application/json"}
    unknown = bulk.call("GET", "job/750000000000001AAA", headers=json_headers)
    assert unknown.json()["exceptionCode"] == "InvalidJob"
    old = f"{emulator.http_url}/services/async/20.0/job"
    assert bulk.session.post(old, json={}, timeout=10).status_code == 410
    job_id = bulk.job(operation="query", contentType="JSON")
    batch = bulk.batch(job_id, "SELECT Id FROM Lead")
    assert bulk.result(job_id, batch, "/752000000000001").status_code == 400


def test_the_jobs_of_both_versions_do_not_mix(bulk: Bulk1, api: Api) -> None:
    job_id = bulk.job(operation="update", contentType="JSON")
    assert api.get(f"jobs/ingest/{job_id}").status_code == 404
