import time

import pytest
import requests

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    return [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]][80:]


def test_a_status_is_answered_instead_for_a_number_of_times(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.add_fault(path_contains="/limits", status=503, times=2)
    assert [api.get("limits").status_code for _ in range(3)] == [503, 503, 200]


def test_a_fault_may_let_some_requests_pass_first(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(path_contains="/limits", status=500, after=2)
    assert [api.get("limits").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_waits_for_its_method_and_path(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(method="PATCH", path_contains="/limits", status=500)
    emulator.add_fault(path_contains="q=SELECT+Id+FROM+User", status=429)
    assert api.get("limits").status_code == 200
    assert api.query("SELECT Id FROM Organization").status_code == 200
    assert api.query("SELECT Id FROM User").status_code == 429


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("<h1>Setting things up</h1>", "text/html; charset=utf-8", "<h1>Setting things up</h1>"),
        (
            [{"errorCode": "X", "message": "y"}],
            "application/json;charset=UTF-8",
            '[{"errorCode":"X","message":"y"}]',
        ),
        ("", "text/html; charset=utf-8", ""),
    ],
)
def test_the_body_of_a_status_can_be_chosen(
    emulator: RunningEmulator, api: Api, body: object, content_type: str, text: str
) -> None:
    emulator.add_fault(action="status", path_contains="/limits", status=420, body=body)
    response = api.get("limits")
    assert (response.status_code, response.text) == (420, text)
    assert response.headers["Content-Type"] == content_type


def test_a_reset_connection_means_nothing_was_done(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.edit(contacts[0], HasOptedOutOfEmail=False)
    emulator.add_fault(method="PATCH", action="reset")
    path = f"sobjects/Contact/{contacts[0]}"
    with pytest.raises(requests.ConnectionError):
        api.call("PATCH", path, json={OPT_OUT: True})
    assert emulator.record(contacts[0])[OPT_OUT] is False
    assert api.call("PATCH", path, json={OPT_OUT: True}).status_code == 204


def test_a_lost_reply_means_it_was_done(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.edit(contacts[0], HasOptedOutOfEmail=False)
    emulator.add_fault(method="PATCH", action="reset_after")
    with pytest.raises(requests.ConnectionError):
        api.call("PATCH", f"sobjects/Contact/{contacts[0]}", json={OPT_OUT: True})
    assert emulator.record(contacts[0])[OPT_OUT] is True


@pytest.mark.parametrize("action", ["reset", "reset_after"])
def test_connections_break_over_tls_too(emulator: RunningEmulator, api: Api, action: str) -> None:
    emulator.add_fault(path_contains="/limits", action=action)
    url = f"{emulator.tls_url}/services/data/v65.0/limits"
    api.session.verify = str(emulator.ca_bundle)
    api.session.trust_env = False
    with pytest.raises(requests.ConnectionError):
        api.session.get(url, timeout=10)
    assert api.session.get(url, timeout=10).status_code == 200


def test_an_expired_session_stays_expired(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(path_contains="/limits", action="expire_session")
    for _ in range(2):
        response = api.get("limits")
        assert response.status_code == 401
        assert response.json() == [
            {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
        ]
    api.session.headers["Authorization"] = f"Bearer {emulator.log_in()}"
    assert api.get("limits").status_code == 200


def test_rows_of_a_collection_can_be_refused(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(
        action="row_error", code="UNABLE_TO_LOCK_ROW", times=2, path_contains="composite"
    )
    body = [{"attributes": {"type": "Contact"}, "Id": each, OPT_OUT: True} for each in contacts[:3]]
    results = api.call("PATCH", "composite/sobjects", json={"records": body}).json()
    assert [each["success"] for each in results] == [False, False, True]
    assert results[0]["errors"] == [
        {
            "statusCode": "UNABLE_TO_LOCK_ROW",
            "message": "unable to obtain exclusive access to this record or 1 records: "
            + contacts[0],
            "fields": [],
        }
    ]


def test_chosen_records_can_be_refused_in_a_single_patch(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(
        action="row_error",
        code="FIELD_CUSTOM_VALIDATION_EXCEPTION",
        message="No opt-outs on Mondays",
        ids=[contacts[1]],
        times=5,
    )
    statuses = [
        api.call("PATCH", f"sobjects/Contact/{each}", json={OPT_OUT: True}).status_code
        for each in contacts[:2]
    ]
    assert statuses == [204, 400]


def test_rows_of_a_bulk_job_can_be_refused(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_fault(action="row_error", method="PUT", times=1)
    job_id = api.call("POST", "jobs/ingest", json={"operation": "update", "object": "Contact"})
    job_id = job_id.json()["id"]
    rows = "".join(f"{each},true\n" for each in contacts[:3])
    api.call("PUT", f"jobs/ingest/{job_id}/batches", data=f"Id,{OPT_OUT}\n{rows}")
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    while (job := api.get(f"jobs/ingest/{job_id}").json())["state"] != "JobComplete":
        time.sleep(0.02)
    assert job["numberRecordsFailed"] == 1
    failed = api.get(f"jobs/ingest/{job_id}/failedResults").text
    assert f'"{contacts[0]}","UNABLE_TO_LOCK_ROW:unable to obtain exclusive access' in failed


def test_a_truncated_body_is_noticed_by_the_client(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(path_contains="/sobjects/Contact/describe", action="truncate")
    with pytest.raises(requests.RequestException):
        api.get("sobjects/Contact/describe")
    assert api.get("sobjects/Contact/describe").status_code == 200


def test_truncated_bulk_results_are_noticed_by_the_client(
    emulator: RunningEmulator, api: Api
) -> None:
    document = {"operation": "query", "query": "SELECT Id FROM Contact"}
    job_id = api.call("POST", "jobs/query", json=document).json()["id"]
    while api.get(f"jobs/query/{job_id}").json()["state"] != "JobComplete":
        time.sleep(0.02)
    emulator.add_fault(path_contains="/results", action="truncate")
    with pytest.raises(requests.RequestException):
        api.get(f"jobs/query/{job_id}/results")


def test_faults_can_be_withdrawn_and_never_hit_the_control_api(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.add_fault(status=500, times=1_000)
    assert api.get("limits").status_code == 500
    assert emulator.control("GET", "health")["status"] == "ok"
    emulator.clear_faults()
    assert api.get("limits").status_code == 200


@pytest.mark.parametrize("fault", [{"action": "explode"}, {}, {"status": 500, "colour": "red"}])
def test_a_fault_nobody_understands_is_refused(
    emulator: RunningEmulator, fault: dict[str, object]
) -> None:
    with pytest.raises(EmulatorError, match="BAD_FAULT"):
        emulator.add_fault(**fault)


def test_requests_are_counted_by_template(emulator: RunningEmulator, api: Api) -> None:
    emulator.reset_requests()
    emulator.add_fault(path_contains="/limits", status=500)
    api.get("limits")
    api.get("limits")
    record_id = emulator.records("Contact")[0]["Id"]
    api.get(f"sobjects/Contact/{record_id}")
    api.get("nonsense")
    emulator.log_in()
    report = emulator.control("GET", "requests")
    assert report["counts"] == {
        "GET /services/data/v65.0/nonsense": 1,
        "GET /services/data/v{version}/limits": 2,
        "GET /services/data/v{version}/sobjects/{object}/{id}": 1,
        "POST /services/oauth2/token": 1,
    }
    assert report["api_requests"] == 4
