"""Faults between client and org: what arrives late, in pieces, altered or not at all."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"


@pytest.fixture
def contact(emulator: RunningEmulator) -> str:
    return next(
        each["Id"] for each in emulator.records("Contact") if not each["HasOptedOutOfEmail"]
    )


def query_job(api: Api, soql: str) -> str:
    document = {"operation": "query", "query": soql}
    job_id: str = api.call("POST", "jobs/query", json=document).json()["id"]
    while api.get(f"jobs/query/{job_id}").json()["state"] != "JobComplete":
        time.sleep(0.02)
    return job_id


# What airbyte's connector meets in production (airbytehq/airbyte, source-salesforce,
# rate_limiting.py): 406 without a body, 420 with a page, 429, bodies that are not JSON.
@pytest.mark.parametrize(
    ("fault", "status", "content_type", "text"),
    [
        ({"status": 406}, 406, None, ""),
        ({"status": 420}, 420, "text/html", "We are setting things up"),
        ({"status": 503, "html": True, "message": "Down"}, 503, "text/html", "<h1>Down</h1>"),
        ({"status": 502, "html": True}, 502, "text/html", "<html>"),
        (
            {"status": 403, "code": "REQUEST_LIMIT_EXCEEDED"},
            403,
            "application/json",
            '[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]',
        ),
        (
            {"status": 400, "code": "QUERY_TIMEOUT"},
            400,
            "application/json",
            '"errorCode":"QUERY_TIMEOUT"',
        ),
        ({"status": 503, "code": "SERVER_UNAVAILABLE"}, 503, "application/json", "[{"),
    ],
)
def test_a_refusal_looks_as_it_does_in_production(
    emulator: RunningEmulator,
    api: Api,
    fault: dict[str, object],
    status: int,
    content_type: str | None,
    text: str,
) -> None:
    emulator.add_fault(path_contains="/limits", **fault)
    response = api.get("limits")
    assert response.status_code == status
    assert text in response.text
    assert content_type is None or response.headers["Content-Type"].startswith(content_type)
    assert content_type or response.content == b""


def test_a_stalled_answer_comes_late_and_its_work_was_done_at_once(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    emulator.add_fault(method="PATCH", action="stall", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        api.session.patch(
            f"{emulator.data_url}/sobjects/Contact/{contact}", json={OPT_OUT: True}, timeout=0.5
        )
    assert emulator.record(contact)[OPT_OUT] is True


def test_a_dripping_answer_arrives_whole(emulator: RunningEmulator, api: Api) -> None:
    whole = api.get("limits").json()
    emulator.add_fault(path_contains="/limits", action="drip", seconds=0.5)
    started = time.monotonic()
    dripped = api.get("limits").json()
    assert time.monotonic() - started > 0.4
    assert dripped.keys() == whole.keys()


def test_a_closed_port_refuses_connections_and_opens_again(emulator: RunningEmulator) -> None:
    limits = f"{emulator.data_url}/limits"
    headers = {"Authorization": f"Bearer {emulator.log_in()}"}
    emulator.refuse_connections(1.0)
    time.sleep(0.3)
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(limits, headers=headers, timeout=5)
    time.sleep(1.2)
    assert requests.get(limits, headers=headers, timeout=5).status_code == 200
    secure = limits.replace(emulator.http_url, emulator.tls_url)
    bundle = str(emulator.ca_bundle)
    assert requests.get(secure, headers=headers, verify=bundle, timeout=5).status_code == 200


def test_a_late_commit_is_stamped_with_the_time_its_transaction_began(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    """The case that breaks a watermark: what was read up to includes a change not yet visible."""
    emulator.add_fault(method="PATCH", action="late_commit", seconds=2.2)
    began = datetime.now(UTC)
    api.call("PATCH", f"sobjects/Contact/{contact}", json={OPT_OUT: True})
    ended = datetime.now(UTC)
    stamp = datetime.fromisoformat(emulator.record(contact)["SystemModstamp"])
    assert ended - began > timedelta(seconds=2)
    assert began.replace(microsecond=0) <= stamp <= began + timedelta(seconds=1)


def test_a_clock_that_is_off_shows_in_stamps_and_in_dates(
    emulator: RunningEmulator, api: Api, contact: str
) -> None:
    emulator.set_clock(3_600)
    api.call("PATCH", f"sobjects/Contact/{contact}", json={OPT_OUT: True})
    ahead = datetime.now(UTC) + timedelta(minutes=59)
    assert datetime.fromisoformat(emulator.record(contact)["SystemModstamp"]) > ahead
    assert parsedate_to_datetime(api.get("limits").headers["Date"]) > ahead
    emulator.reset()
    assert parsedate_to_datetime(api.get("limits").headers["Date"]) < ahead


def test_the_answers_have_one_date_each(api: Api) -> None:
    raw = api.get("limits").raw
    assert len(raw.headers.getlist("Date")) == 1


def test_answers_are_compressed_where_the_org_and_the_client_want_it(
    emulator: RunningEmulator, api: Api
) -> None:
    assert "Content-Encoding" not in api.get("sobjects/Contact/describe").headers
    emulator.set_options(gzip=True)
    described = api.get("sobjects/Contact/describe")
    assert described.headers["Content-Encoding"] == "gzip"
    assert described.json()["name"] == "Contact"
    plain = api.get("sobjects/Contact/describe", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers


def test_a_compressed_request_is_understood(api: Api, contact: str) -> None:
    body = gzip.compress(b'{"HasOptedOutOfEmail": true}')
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    path = f"sobjects/Contact/{contact}"
    assert api.call("PATCH", path, data=body, headers=headers).status_code == 204
    broken = api.call("PATCH", path, data=b"no gzip", headers=headers)
    assert (broken.status_code, broken.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        ("bom", lambda text: text.startswith("\ufeff")),
        ("crlf", lambda text: text.count("\r\n") == text.count("\n")),
        ("nul_bytes", lambda text: "\x00" in text),
    ],
)
def test_results_can_be_encoded_as_nobody_expects(
    emulator: RunningEmulator, api: Api, action: str, wrong: object
) -> None:
    job_id = query_job(api, "SELECT Id, LastName FROM Lead")
    emulator.add_fault(path_contains="/results", action=action)
    path = f"jobs/query/{job_id}/results"
    broken, right = (api.get(path).content.decode() for _ in range(2))
    assert wrong(broken)  # type: ignore[operator]
    assert not wrong(right)  # type: ignore[operator]


def test_results_can_come_shuffled_cut_and_repeated_without_a_sign(
    emulator: RunningEmulator, api: Api
) -> None:
    path = f"jobs/query/{query_job(api, 'SELECT Id, LastName FROM Lead')}/results"
    right = api.get(path).text.splitlines()
    seen = {}
    for action in ("shuffle_rows", "cut_rows", "repeat_rows"):
        emulator.add_fault(path_contains="/results", action=action, seed=3, rows=2)
        seen[action] = api.get(path).text.splitlines()
    assert seen["shuffle_rows"] != right
    assert sorted(seen["shuffle_rows"]) == sorted(right)
    assert seen["cut_rows"] == right[:-2]
    assert seen["repeat_rows"] == right + right[1:3]


def test_the_same_seed_shuffles_alike(emulator: RunningEmulator, api: Api) -> None:
    path = f"jobs/query/{query_job(api, 'SELECT Id FROM Lead')}/results"
    emulator.add_fault(path_contains="/results", action="shuffle_rows", seed=5, times=2)
    assert api.get(path).text == api.get(path).text


def test_headers_can_be_spelled_and_filled_otherwise(emulator: RunningEmulator, api: Api) -> None:
    path = f"jobs/query/{query_job(api, 'SELECT Id FROM Lead')}/results"
    assert "Sforce-Locator" in list(api.get(path).raw.headers)  # as recorded headers are spelled
    headers = {"SFORCE-LOCATOR": "*", "Content-Type": "text/csv; charset=ISO-8859-1"}
    emulator.add_fault(path_contains="/results", action="headers", headers=headers)
    response = api.get(path)
    assert "SFORCE-LOCATOR" in list(response.raw.headers)
    assert response.headers["Sforce-Locator"] == "null"
    assert response.headers["Content-Type"] == "text/csv; charset=ISO-8859-1"


def test_a_fault_may_hit_by_chance_and_the_same_chance_for_the_same_seed(
    emulator: RunningEmulator, api: Api
) -> None:
    seen = []
    for _ in range(2):
        emulator.add_fault(path_contains="/limits", status=503, times=None, probability=0.5, seed=1)
        seen.append([api.get("limits").status_code for _ in range(20)])
        emulator.clear_faults()
    assert seen[0] == seen[1]
    assert {200, 503} == set(seen[0])


def test_a_fault_may_last_until_it_is_withdrawn(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(path_contains="/limits", status=401, code="INVALID_SESSION_ID", times=None)
    assert {api.get("limits").status_code for _ in range(10)} == {401}
    emulator.clear_faults()
    assert api.get("limits").status_code == 200


def test_a_fault_may_wait_for_an_object(emulator: RunningEmulator, api: Api) -> None:
    emulator.add_fault(object="Lead", status=503, times=None)
    assert api.query("SELECT Id FROM Contact").status_code == 200
    assert api.query("SELECT Id FROM Lead").status_code == 503
    assert api.get("sobjects/Lead/describe").status_code == 503


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "times": 0},
        {"status": 503, "times": -1},
        {"status": 503, "after": -1},
        {"status": 1_000},
        {"status": 503, "probability": 1.5},
        {"action": "stall", "seconds": -1},
        {"action": "cut_rows", "rows": -3},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    emulator: RunningEmulator, fault: dict[str, object]
) -> None:
    with pytest.raises(EmulatorError, match="BAD_FAULT"):
        emulator.add_fault(**fault)


def test_the_realistic_profile_takes_its_time_and_says_so(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.set_options(latency="realistic")
    response = api.get("limits")
    assert float(response.headers["X-Emu-Server-Ms"]) >= 59
    emulator.set_options(latency="zero")
    assert float(api.get("limits").headers["X-Emu-Server-Ms"]) < 59


def test_the_newest_requests_are_remembered(emulator: RunningEmulator, api: Api) -> None:
    emulator.reset_requests()
    api.get("limits")
    api.get("sobjects/Nothing__c")
    seen = [(each["request"], each["status"]) for each in emulator.newest_requests()]
    assert seen == [
        ("GET /services/data/v65.0/limits?", 200),
        ("GET /services/data/v65.0/sobjects/Nothing__c?", 404),
    ]
