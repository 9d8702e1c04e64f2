"""Faults inside the org: pages, cursors, rows and bulk jobs."""

import time

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
SMALL_PAGES = {"Sforce-Query-Options": "batchSize=200"}


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    return [each["Id"] for each in emulator.records("Contact")]


def ingest(api: Api, ids: list[str]) -> str:
    document = {"operation": "update", "object": "Contact"}
    job_id: str = api.call("POST", "jobs/ingest", json=document).json()["id"]
    rows = "".join(f"{each},true\n" for each in ids)
    api.call("PUT", f"jobs/ingest/{job_id}/batches", data=f"Id,{OPT_OUT}\n{rows}")
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    return job_id


def state_of(api: Api, path: str, *awaited: str) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        job: dict[str, object] = api.get(path).json()
        if job["state"] in awaited:
            return job
        time.sleep(0.02)
    raise AssertionError(f"{path} never became one of {awaited}")


def test_a_page_may_be_short_and_the_next_one_goes_on_where_it_ended(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(action="short_page", rows=150)
    first = api.query("SELECT Id FROM Contact ORDER BY Id", headers=SMALL_PAGES).json()
    assert (len(first["records"]), first["done"]) == (50, False)
    rest = api.session.get(emulator.http_url + first["nextRecordsUrl"], timeout=10).json()
    ids = [each["Id"] for each in first["records"] + rest["records"]]
    assert ids == sorted(contacts)


def test_a_lost_cursor_stays_lost(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(action="short_page", rows=150)
    first = api.query("SELECT Id FROM Contact", headers=SMALL_PAGES).json()
    emulator.add_fault(action="lose_locator")
    for _ in range(2):
        lost = api.session.get(emulator.http_url + first["nextRecordsUrl"], timeout=10)
        assert lost.status_code == 400
        assert lost.json() == [
            {"message": "invalid query locator", "errorCode": "INVALID_QUERY_LOCATOR"}
        ]


def test_a_page_may_repeat_and_rearrange_records(emulator: RunningEmulator, api: Api) -> None:
    soql = "SELECT Id FROM Lead ORDER BY Id"
    right = [each["Id"] for each in api.query(soql).json()["records"]]
    emulator.add_fault(path_contains="/query", action="repeat_rows", rows=3)
    repeated = [each["Id"] for each in api.query(soql).json()["records"]]
    emulator.add_fault(path_contains="/query", action="shuffle_rows", seed=2)
    shuffled = [each["Id"] for each in api.query(soql).json()["records"]]
    assert repeated == right + right[:3]
    assert (shuffled != right, sorted(shuffled)) == (True, right)


# The codes of 5.5; the messages of the first three are captured from real orgs.
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "UNABLE_TO_LOCK_ROW",
            "unable to obtain exclusive access to this record or 1 records: {id}",
        ),
        ("ENTITY_IS_DELETED", "entity is deleted"),
        ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        ("DUPLICATES_DETECTED", "Use one of these records?"),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"),
    ],
)
def test_each_row_error_says_what_salesforce_says(
    emulator: RunningEmulator, api: Api, contacts: list[str], code: str, message: str
) -> None:
    emulator.add_fault(action="row_error", code=code, object="Contact", operation="update")
    record = {"attributes": {"type": "Contact"}, "Id": contacts[0], OPT_OUT: True}
    (result,) = api.call("PATCH", "composite/sobjects", json={"records": [record]}).json()
    (error,) = result["errors"]
    assert (error["statusCode"], error["message"]) == (code, message.format(id=contacts[0]))


def test_a_row_error_may_wait_for_another_object_or_operation(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(action="row_error", object="Lead")
    emulator.add_fault(action="row_error", operation="delete")
    path = f"sobjects/Contact/{contacts[0]}"
    assert api.call("PATCH", path, json={OPT_OUT: True}).status_code == 204


def test_a_job_may_fail_with_rows_unprocessed(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(action="job_failed", object="Contact", rows=30, message="TooManyLockFailure")
    job_id = ingest(api, contacts[:50])
    job = state_of(api, f"jobs/ingest/{job_id}", "Failed", "JobComplete")
    assert (job["state"], job["errorMessage"]) == ("Failed", "TooManyLockFailure")
    assert job["numberRecordsProcessed"] == 30
    done = api.get(f"jobs/ingest/{job_id}/successfulResults").text.splitlines()
    left = api.get(f"jobs/ingest/{job_id}/unprocessedrecords").text.splitlines()
    assert (len(done), len(left)) == (31, 21)
    assert left == [f"Id,{OPT_OUT}", *(f"{each},true" for each in contacts[30:50])]


def test_a_query_job_may_fail(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(action="job_failed", operation="query", message="Query timed out")
    document = {"operation": "query", "query": "SELECT Id FROM Lead"}
    job_id = api.call("POST", "jobs/query", json=document).json()["id"]
    assert state_of(api, f"jobs/query/{job_id}", "Failed")["errorMessage"] == "Query timed out"


def test_a_stuck_job_stays_in_progress_until_it_is_aborted_or_let_go(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(action="job_stuck", times=2)
    aborted, released = (ingest(api, contacts[:5]) for _ in range(2))
    for job_id in (aborted, released):
        state_of(api, f"jobs/ingest/{job_id}", "InProgress")
    third = ingest(api, contacts[:5])  # other jobs go on
    state_of(api, f"jobs/ingest/{third}", "JobComplete")
    api.call("PATCH", f"jobs/ingest/{aborted}", json={"state": "Aborted"})
    emulator.clear_faults()
    assert state_of(api, f"jobs/ingest/{released}", "JobComplete")["numberRecordsProcessed"] == 5
    assert api.get(f"jobs/ingest/{aborted}").json()["state"] == "Aborted"


def test_a_realistic_job_shows_its_states(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.set_options(latency="realistic")
    job_id = ingest(api, contacts[:5])
    state_of(api, f"jobs/ingest/{job_id}", "InProgress")
    job = state_of(api, f"jobs/ingest/{job_id}", "JobComplete")
    emulator.set_options(latency="zero")
    assert isinstance(job["totalProcessingTime"], int)
    assert job["totalProcessingTime"] >= 2_000
