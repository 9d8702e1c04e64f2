import csv
import time
from io import StringIO
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
SOQL = f"SELECT Id, LastName, Email, {OPT_OUT}, IsDeleted, SystemModstamp FROM Contact"
HEAD = [
    "id", "operation", "object", "createdById", "createdDate", "systemModstamp", "state",
    "concurrencyMode", "contentType", "apiVersion",
]  # fmt: skip


def create(api: Api, soql: str = SOQL, operation: str = "queryAll", **options: str) -> Any:
    return api.call("POST", "jobs/query", json={"operation": operation, "query": soql, **options})


def finished(api: Api, job_id: str) -> dict[str, Any]:
    for _ in range(500):
        job: dict[str, Any] = api.get(f"jobs/query/{job_id}").json()
        if job["state"] in ("JobComplete", "Failed", "Aborted"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is still {job['state']}")


def run(api: Api, soql: str = SOQL, operation: str = "queryAll", **options: str) -> dict[str, Any]:
    return finished(api, create(api, soql, operation, **options).json()["id"])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def test_a_job_body_has_the_captured_keys_in_every_state(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.hold_jobs(True)
    response = create(api)
    assert response.status_code == 200
    made = response.json()
    assert list(made) == [*HEAD, "lineEnding", "columnDelimiter"]
    assert made["id"].startswith("750")
    assert (made["state"], made["operation"], made["object"]) == (
        "UploadComplete",
        "queryAll",
        "Contact",
    )
    assert made["createdDate"].endswith(".000+0000")
    assert (made["apiVersion"], made["concurrencyMode"]) == (65.0, "Parallel")
    waiting = api.get(f"jobs/query/{made['id']}").json()
    assert list(waiting) == [
        *HEAD, "jobType", "lineEnding", "columnDelimiter", "retries", "totalProcessingTime",
    ]  # fmt: skip
    emulator.hold_jobs(False)
    done = finished(api, made["id"])
    assert list(done) == [
        *HEAD, "jobType", "lineEnding", "columnDelimiter", "numberRecordsProcessed", "retries",
        "totalProcessingTime",
    ]  # fmt: skip
    assert (done["state"], done["jobType"]) == ("JobComplete", "V2Query")
    assert done["numberRecordsProcessed"] == len(emulator.records("Contact"))


def test_results_before_the_end_are_refused(emulator: RunningEmulator, api: Api) -> None:
    emulator.hold_jobs(True)
    job_id = create(api).json()["id"]
    response = api.get(f"jobs/query/{job_id}/results")
    assert response.status_code == 412
    assert response.json() == [
        {
            "message": "can only download query results of successfully completed bulk job with "
            "status: JOB_COMPLETE. Current status: UPLOAD_COMPLETE",
            "errorCode": "JOB_NOT_COMPLETE",
        }
    ]
    emulator.hold_jobs(False)
    finished(api, job_id)


def test_every_value_is_quoted_and_true_to_the_record(emulator: RunningEmulator, api: Api) -> None:
    contact = next(each for each in emulator.records("Contact") if not each["IsDeleted"])
    awkward = 'Ö"quoted", and\nsplit'
    emulator.edit(contact["Id"], LastName=awkward, Email=None)
    job = run(api)
    response = api.get(f"jobs/query/{job['id']}/results")
    assert response.headers["Content-Type"] == "text/csv"
    text = response.content.decode()
    header = f'"Id","LastName","Email","{OPT_OUT}","IsDeleted","SystemModstamp"'
    assert text.startswith(header + "\n")
    rows = {row["Id"]: row for row in rows_of(text)}
    expected = {
        record["Id"]: {
            "Id": record["Id"],
            "LastName": record["LastName"],
            "Email": record["Email"] or "",
            OPT_OUT: str(record[OPT_OUT]).lower(),
            "IsDeleted": str(record["IsDeleted"]).lower(),
            "SystemModstamp": record["SystemModstamp"].replace("+0000", "Z"),
        }
        for record in emulator.records("Contact")
    }
    assert rows == expected
    assert rows[contact["Id"]]["LastName"] == awkward


def test_pages_follow_the_locator_and_end_with_the_text_null(
    emulator: RunningEmulator, api: Api
) -> None:
    total = len(emulator.records("Contact"))
    job = run(api)
    whole = rows_of(api.get(f"jobs/query/{job['id']}/results").content.decode())
    seen: list[dict[str, str]] = []
    locator = ""
    while locator != "null":
        params = {"maxRecords": "50", **({"locator": locator} if locator else {})}
        response = api.get(f"jobs/query/{job['id']}/results", params=params)
        page = rows_of(response.content.decode())
        assert response.headers["Sforce-NumberOfRecords"] == str(len(page))
        assert len(page) == min(50, total - len(seen))
        seen += page
        locator = response.headers["Sforce-Locator"]
    assert seen == whole
    assert len(seen) == total


def test_no_record_found_is_a_header_and_no_row(api: Api) -> None:
    job = run(api, "SELECT Id FROM Lead WHERE LastName = 'Nobody At All'")
    response = api.get(f"jobs/query/{job['id']}/results")
    assert response.content == b'"Id"\n'
    assert response.headers["Sforce-NumberOfRecords"] == "0"
    assert response.headers["Sforce-Locator"] == "null"


def test_only_query_all_sees_deleted_records(emulator: RunningEmulator, api: Api) -> None:
    gone = next(each["Id"] for each in emulator.records("Lead") if not each["IsDeleted"])
    emulator.delete(gone)
    for operation, count in (("query", 0), ("queryAll", 1)):
        job = run(api, f"SELECT Id FROM Lead WHERE Id = '{gone}'", operation)
        assert job["numberRecordsProcessed"] == count
    emulator.undelete(gone)


def test_an_invisible_column_fails_the_whole_job(emulator: RunningEmulator, api: Api) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    job = run(api)
    assert (job["state"], job["numberRecordsProcessed"]) == ("Failed", 0)
    assert job["errorMessage"].startswith("InvalidBatch : Failed to process query: INVALID_FIELD: ")
    assert f"No such column '{OPT_OUT}' on entity 'Contact'" in job["errorMessage"]
    assert api.get(f"jobs/query/{job['id']}/results").status_code == 412


def test_another_version_may_not_read_the_results(emulator: RunningEmulator, api: Api) -> None:
    job = run(api)
    url = f"{emulator.http_url}/services/data/v64.0/jobs/query/{job['id']}/results"
    assert api.session.get(url, timeout=10).status_code == 409


def test_delimiter_and_line_ending_are_obeyed(api: Api) -> None:
    job = run(api, "SELECT Id, Name FROM Organization", columnDelimiter="TAB", lineEnding="CRLF")
    text = api.get(f"jobs/query/{job['id']}/results").content
    assert text.startswith(b'"Id"\t"Name"\r\n"00D')
    assert text.endswith(b'"Emulated Org"\r\n')


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ({"operation": "query", "query": "SELEKT"}, 400, "MALFORMED_QUERY"),
        ({"operation": "query", "query": "SELECT Id FROM Nothing"}, 400, "INVALIDJOB"),
        ({"operation": "query", "query": "SELECT Id FROM Lead OFFSET 5"}, 400, "INVALIDJOB"),
        ({"operation": "insert", "query": "SELECT Id FROM Lead"}, 400, "INVALIDJOB"),
        (
            {"operation": "query", "query": "SELECT Id FROM Lead", "contentType": "JSON"},
            400,
            "INVALIDJOB",
        ),
    ],
)
def test_a_job_which_cannot_run_is_refused(
    api: Api, document: dict[str, str], status: int, code: str
) -> None:
    response = api.call("POST", "jobs/query", json=document)
    assert (response.status_code, response.json()[0]["errorCode"]) == (status, code)


def test_counting_is_no_bulk_query(api: Api) -> None:
    job = run(api, "SELECT COUNT() FROM Lead")
    assert job["state"] == "Failed"
    assert "Aggregate Relationships not supported" in job["errorMessage"]


def test_a_waiting_job_can_be_aborted_and_then_deleted(emulator: RunningEmulator, api: Api) -> None:
    emulator.hold_jobs(True)
    job_id = create(api).json()["id"]
    assert api.call("DELETE", f"jobs/query/{job_id}").status_code == 400
    aborted = api.call("PATCH", f"jobs/query/{job_id}", json={"state": "Aborted"})
    assert (aborted.status_code, aborted.json()["state"]) == (200, "Aborted")
    emulator.hold_jobs(False)
    assert finished(api, job_id)["state"] == "Aborted"
    assert any(each["id"] == job_id for each in api.get("jobs/query").json()["records"])
    assert api.call("DELETE", f"jobs/query/{job_id}").status_code == 204
    assert api.get(f"jobs/query/{job_id}").status_code == 404


@pytest.mark.parametrize(
    "params",
    [{"maxRecords": "0"}, {"maxRecords": "x"}, {"locator": "%%%"}, {"locator": "OTk5OTk5"}],
)
def test_wrong_paging_is_refused(api: Api, params: dict[str, str]) -> None:
    job = run(api, "SELECT Id FROM Lead")
    assert api.get(f"jobs/query/{job['id']}/results", params=params).status_code == 400


def test_pages_can_be_read_side_by_side(emulator: RunningEmulator, api: Api) -> None:
    job_id = complete(api, "SELECT Id FROM Contact")
    pages = api.get(f"jobs/query/{job_id}/resultPages").json()
    assert pages["done"] is True
    (page,) = pages["resultPages"]
    result = api.session.get(emulator.http_url + page["resultUrl"], timeout=10)
    assert len(result.text.splitlines()) == len(emulator.records("Contact")) + 1
    old = f"{emulator.http_url}/services/data/v57.0/jobs/query/{job_id}/resultPages"
    assert api.session.get(old, timeout=10).status_code == 404


def test_a_job_is_kept_for_seven_days_after_its_end(emulator: RunningEmulator, api: Api) -> None:
    job_id = complete(api, "SELECT Id FROM Lead")
    emulator.set_clock(7 * 86_400 - 60)
    assert api.get(f"jobs/query/{job_id}").status_code == 200
    emulator.set_clock(7 * 86_400 + 60)
    assert api.get(f"jobs/query/{job_id}").status_code == 404
    assert job_id not in {each["id"] for each in api.get("jobs/query").json()["records"]}


def test_query_jobs_count_against_their_own_limit(api: Api) -> None:
    def left() -> int:
        report: dict[str, dict[str, int]] = api.get("limits").json()
        return report["DailyBulkV2QueryJobs"]["Remaining"]

    before = left()
    complete(api, "SELECT Id FROM Lead")
    assert left() == before - 1


def complete(api: Api, soql: str) -> str:
    document = {"operation": "query", "query": soql}
    job_id: str = api.call("POST", "jobs/query", json=document).json()["id"]
    while api.get(f"jobs/query/{job_id}").json()["state"] != "JobComplete":
        time.sleep(0.01)
    return job_id
