import time
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
UNKNOWN_ID = "003000000000001AAA"
HEAD = [
    "id", "operation", "object", "createdById", "createdDate", "systemModstamp", "state",
    "concurrencyMode", "contentType", "apiVersion",
]  # fmt: skip


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    return [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]][60:]


def create(api: Api, **options: object) -> Any:
    document = {"operation": "update", "object": "Contact", "contentType": "CSV", **options}
    return api.call("POST", "jobs/ingest", json=document)


def upload(api: Api, job_id: str, text: str) -> Any:
    headers = {"Content-Type": "text/csv; charset=UTF-8"}
    return api.call("PUT", f"jobs/ingest/{job_id}/batches", data=text.encode(), headers=headers)


def set_state(api: Api, job_id: str, state: str) -> Any:
    return api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": state})


def finished(api: Api, job_id: str) -> dict[str, Any]:
    for _ in range(500):
        job: dict[str, Any] = api.get(f"jobs/ingest/{job_id}").json()
        if job["state"] in ("JobComplete", "Failed", "Aborted"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is still {job['state']}")


def run(api: Api, text: str, **options: object) -> dict[str, Any]:
    job_id = create(api, **options).json()["id"]
    assert upload(api, job_id, text).status_code == 201
    assert set_state(api, job_id, "UploadComplete").status_code == 200
    return finished(api, job_id)


def results(api: Api, job: dict[str, Any], name: str) -> str:
    response = api.get(f"jobs/ingest/{job['id']}/{name}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv"
    return response.content.decode()


def test_a_job_body_has_the_captured_keys_in_every_state(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.hold_jobs(True)
    made = create(api).json()
    job_id = made["id"]
    where = {"contentUrl": f"services/data/v65.0/jobs/ingest/{job_id}/batches"}
    assert list(made) == [*HEAD, "contentUrl", "lineEnding", "columnDelimiter"]
    assert where.items() <= made.items()
    opened = api.get(f"jobs/ingest/{job_id}").json()
    assert list(opened) == [
        *HEAD, "jobType", "contentUrl", "lineEnding", "columnDelimiter", "retries",
        "totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime",
    ]  # fmt: skip
    assert upload(api, job_id, f"Id,{OPT_OUT}\n{contacts[0]},true\n").content == b""
    loaded = api.get(f"jobs/ingest/{job_id}").json()
    assert (loaded["numberRecordsProcessed"], loaded["numberRecordsFailed"]) == (0, 0)
    assert list(set_state(api, job_id, "UploadComplete").json()) == HEAD
    emulator.hold_jobs(False)
    done = finished(api, job_id)
    assert list(done) == [
        *HEAD, "jobType", "lineEnding", "columnDelimiter", "numberRecordsProcessed",
        "numberRecordsFailed", "retries", "totalProcessingTime", "apiActiveProcessingTime",
        "apexProcessingTime",
    ]  # fmt: skip
    assert (done["state"], done["jobType"]) == ("JobComplete", "V2Ingest")


def test_successes_and_failures_are_told_apart(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    good, gone = contacts[:2]
    emulator.delete(gone)
    job = run(api, f"Id,{OPT_OUT}\n{good},TRUE\n{gone},true\n{UNKNOWN_ID},true\n{good},maybe\n")
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (4, 3)
    assert results(api, job, "successfulResults") == (
        f'"sf__Id","sf__Created",Id,{OPT_OUT}\n"{good}","false","{good}","TRUE"\n'
    )
    assert results(api, job, "failedResults") == (
        f'"sf__Id","sf__Error",Id,{OPT_OUT}\n'
        f'"{gone}","ENTITY_IS_DELETED:entity is deleted:--","{gone}","true"\n'
        f'"{UNKNOWN_ID}","INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--",'
        f'"{UNKNOWN_ID}","true"\n'
        f'"{good}","INVALID_TYPE_ON_FIELD_IN_RECORD:Email Opt Out: value not of required type: '
        f'maybe:{OPT_OUT} --","{good}","maybe"\n'
    )
    assert results(api, job, "unprocessedRecords") == f"Id,{OPT_OUT}\n"
    record = emulator.record(good)
    assert record[OPT_OUT] is True
    assert record["LastModifiedById"] == emulator.control("GET", "health")["integration_user_id"]


def test_an_empty_value_is_ignored_and_the_null_sign_empties(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.edit(contacts[3], Title="kept", Phone="gone")
    job = run(api, f'id,title,Phone\r\n"{contacts[3]}","",#N/A\r\n', lineEnding="CRLF")
    assert job["numberRecordsFailed"] == 0
    record = emulator.record(contacts[3])
    assert (record["Title"], record["Phone"]) == ("kept", None)


@pytest.mark.parametrize("hidden", [True, False])
def test_an_unknown_or_invisible_column_fails_the_whole_job(
    emulator: RunningEmulator, api: Api, contacts: list[str], hidden: bool
) -> None:
    if hidden:
        emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    name = OPT_OUT if hidden else "ContactId__c"
    before = emulator.record(contacts[0])
    job = run(api, f"Id,{name}\n{contacts[0]},true\n")
    assert job["state"] == "Failed"
    assert job["errorMessage"] == f"InvalidBatch : Field name not found : {name}"
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (0, 0)
    assert results(api, job, "failedResults") == ""
    assert results(api, job, "unprocessedrecords") == f"Id,{name}\n{contacts[0]},true\n"
    assert emulator.record(contacts[0]) == before


def test_a_read_only_column_fails_row_by_row(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=True, updateable=False)
    job = run(api, f"Id,{OPT_OUT}\n{contacts[0]},true\n{contacts[1]},true\n")
    assert (job["state"], job["numberRecordsFailed"]) == ("JobComplete", 2)
    assert results(api, job, "failedResults").count("INVALID_FIELD_FOR_INSERT_UPDATE:Unable") == 2


def test_rows_without_an_id_or_with_too_few_values_fail_alone(
    api: Api, contacts: list[str]
) -> None:
    job = run(api, f"Id,Title\n,x\n{contacts[0]}\n{contacts[0]},fine\n")
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (3, 2)
    failed = results(api, job, "failedResults")
    assert "MISSING_ARGUMENT:Id not specified in an update call:--" in failed
    assert failed.count("\n") == 3


def test_many_rows_are_processed_in_batches(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    rows = "".join(f"{contacts[n % 50]},true\n" for n in range(25_000))
    job = run(api, f"Id,{OPT_OUT}\n{rows}")
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (25_000, 0)
    assert results(api, job, "successfulResults").count("\n") == 25_001


def test_before_version_53_failed_rows_carry_no_id(emulator: RunningEmulator, api: Api) -> None:
    root = f"{emulator.http_url}/services/data/v52.0/jobs/ingest"
    document = {"operation": "update", "object": "Contact"}
    job_id = api.session.post(root, json=document, timeout=10).json()["id"]
    upload(api, job_id, f"Id,Title\n{UNKNOWN_ID},x\n")
    set_state(api, job_id, "UploadComplete")
    assert '\n"","INVALID_CROSS' in results(api, finished(api, job_id), "failedResults")


def test_data_comes_once_and_only_into_an_open_job(api: Api, contacts: list[str]) -> None:
    job_id = create(api).json()["id"]
    assert set_state(api, job_id, "UploadComplete").status_code == 400
    assert upload(api, job_id, f"Id,Title\n{contacts[0]},x\n").status_code == 201
    second = upload(api, job_id, f"Id,Title\n{contacts[0]},y\n")
    assert (second.status_code, second.json()[0]["errorCode"]) == (400, "INVALIDJOBSTATE")
    assert set_state(api, job_id, "Aborted").json()["state"] == "Aborted"
    assert upload(api, job_id, "Id\n").status_code == 400
    assert set_state(api, job_id, "UploadComplete").status_code == 400


def test_a_chunked_upload_without_a_format_is_accepted(api: Api, contacts: list[str]) -> None:
    document = {"operation": "update", "object": "Contact"}
    job_id = api.call("POST", "jobs/ingest", json=document).json()["id"]
    pieces = iter([b"Id,Title\n", f"{contacts[4]},in ".encode(), b"pieces\n"])
    assert api.call("PUT", f"jobs/ingest/{job_id}/batches", data=pieces).status_code == 201
    set_state(api, job_id, "UploadComplete")
    assert finished(api, job_id)["numberRecordsProcessed"] == 1


def test_an_aborted_job_keeps_its_rows_unprocessed(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.hold_jobs(True)
    job_id = create(api).json()["id"]
    upload(api, job_id, f"Id,Title\n{contacts[0]},never\n")
    set_state(api, job_id, "UploadComplete")
    assert api.get(f"jobs/ingest/{job_id}/failedResults").status_code == 400
    set_state(api, job_id, "Aborted")
    emulator.hold_jobs(False)
    job = finished(api, job_id)
    assert job["state"] == "Aborted"
    assert results(api, job, "unprocessedrecords").endswith(f"{contacts[0]},never\n")
    assert emulator.record(contacts[0])["Title"] != "never"


def test_jobs_are_listed_and_deleted(api: Api, contacts: list[str]) -> None:
    job = run(api, f"Id,Title\n{contacts[0]},x\n")
    assert job["id"] in {each["id"] for each in api.get("jobs/ingest").json()["records"]}
    assert api.call("DELETE", f"jobs/ingest/{job['id']}").status_code == 204
    assert api.get(f"jobs/ingest/{job['id']}").status_code == 404


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ({"operation": "upsert", "object": "Contact"}, 400, "INVALIDJOB"),
        ({"operation": "frobnicate", "object": "Contact"}, 400, "INVALIDJOB"),
        ({"operation": "update", "object": "Nothing"}, 400, "INVALIDJOB"),
        ({"operation": "update", "object": "User"}, 400, "INVALIDJOB"),
        (
            {"operation": "update", "object": "Contact", "columnDelimiter": "DOT"},
            400,
            "INVALIDJOB",
        ),
    ],
)
def test_a_job_which_cannot_run_is_refused(
    api: Api, document: dict[str, str], status: int, code: str
) -> None:
    response = api.call("POST", "jobs/ingest", json=document)
    assert (response.status_code, response.json()[0]["errorCode"]) == (status, code)
