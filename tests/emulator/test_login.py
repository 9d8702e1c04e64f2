import re

import pytest
import requests

from local.salesforce_emulator.testing import Api, RunningEmulator

SESSION_EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def log_in(emulator: RunningEmulator, path: str, **options: object) -> requests.Response:
    return requests.post(f"{emulator.http_url}{path}", timeout=10, **options)


def test_client_credentials_open_a_session(emulator: RunningEmulator) -> None:
    response = log_in(
        emulator,
        "/services/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
        },
    )
    body = response.json()
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert body["instance_url"] == emulator.http_url
    assert body["token_type"] == "Bearer"
    assert re.match(r"00D\w{12}!\S+\Z", body["access_token"])
    assert re.search(r"/id/00D\w{15}/005\w{15}\Z", body["id"])
    assert body["issued_at"].isdigit()


def test_the_instance_url_repeats_the_host_asked_for(emulator: RunningEmulator) -> None:
    response = log_in(
        emulator,
        "/login?x=.salesforce.com/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(emulator.client_id, emulator.client_secret),
        headers={"Host": "acme.my.salesforce.com:1234"},
    )
    assert response.json()["instance_url"] == "http://acme.my.salesforce.com:1234"


@pytest.mark.parametrize(
    ("form", "error", "description"),
    [
        ({"client_id": "nobody"}, "invalid_client_id", "client identifier invalid"),
        ({"client_secret": "wrong"}, "invalid_client", "invalid client credentials"),
        ({"grant_type": "mystery"}, "unsupported_grant_type", "grant type not supported"),
    ],
)
def test_a_wrong_login_is_refused_with_its_reason(
    emulator: RunningEmulator, form: dict[str, str], error: str, description: str
) -> None:
    right = {
        "grant_type": "client_credentials",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
    }
    response = log_in(emulator, "/services/oauth2/token", data={**right, **form})
    assert response.status_code == 400
    assert response.json() == {"error": error, "error_description": description}


def test_a_broken_basic_header_is_an_unknown_client(emulator: RunningEmulator) -> None:
    response = log_in(
        emulator,
        "/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": "Basic ???"},
    )
    assert response.json()["error"] == "invalid_client_id"


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc", ""])
def test_without_a_session_nothing_is_served(emulator: RunningEmulator, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = requests.get(f"{emulator.data_url}/limits", headers=headers, timeout=10)
    assert (response.status_code, response.json()) == (401, SESSION_EXPIRED)


def test_the_older_oauth_scheme_is_accepted(emulator: RunningEmulator) -> None:
    headers = {"Authorization": f"OAuth {emulator.log_in()}"}
    assert requests.get(f"{emulator.data_url}/limits", headers=headers, timeout=10).ok


def test_a_revoked_session_is_refused_and_a_new_one_works(
    emulator: RunningEmulator, api: Api
) -> None:
    assert api.get("limits").status_code == 200
    emulator.revoke_sessions()
    assert api.get("limits").json() == SESSION_EXPIRED
    api.session.headers["Authorization"] = f"Bearer {emulator.log_in()}"
    assert api.get("limits").status_code == 200


def test_versions_are_listed_without_a_login(emulator: RunningEmulator) -> None:
    versions = requests.get(f"{emulator.http_url}/services/data", timeout=10).json()
    assert versions[-1]["url"] == f"/services/data/v{versions[-1]['version']}"


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        ("30.0", 410, "UNSUPPORTED_API_VERSION"),
        ("99.0", 404, "NOT_FOUND"),
        ("x", 404, "NOT_FOUND"),
    ],
)
def test_versions_out_of_range_are_refused(
    emulator: RunningEmulator, api: Api, version: str, status: int, code: str
) -> None:
    response = api.session.get(f"{emulator.http_url}/services/data/v{version}/limits", timeout=10)
    assert (response.status_code, response.json()[0]["errorCode"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/services/apexrest/OptOut"),
        ("POST", "/services/data/v65.0/composite/tree/Contact"),
        ("GET", "/services/data/v65.0/recent"),
        ("GET", "/services/data/v65.0/tooling/runTestsSynchronous"),
    ],
)
def test_what_is_not_emulated_says_so(
    emulator: RunningEmulator, api: Api, method: str, path: str
) -> None:
    response = api.session.request(method, emulator.http_url + path, timeout=10)
    assert response.status_code == 501
    assert response.json()[0]["errorCode"] == "NOT_EMULATED"
    assert "does not emulate" in response.json()[0]["message"]


def test_an_unknown_path_is_not_found(api: Api) -> None:
    response = api.get("nonsense")
    assert response.status_code == 404
    assert response.json() == [
        {"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}
    ]


def test_a_wrong_method_is_not_allowed(api: Api) -> None:
    response = api.call("POST", "limits")
    assert (response.status_code, response.json()[0]["errorCode"]) == (405, "METHOD_NOT_ALLOWED")


def test_the_request_allowance_is_counted_and_ends(emulator: RunningEmulator, api: Api) -> None:
    emulator.set_limits(daily_api_requests=12, used=10)
    assert api.get("limits").headers["Sforce-Limit-Info"] == "api-usage=11/12"
    assert api.get("limits").json()["DailyApiRequests"] == {"Max": 12, "Remaining": 0}
    refused = api.get("limits")
    assert refused.status_code == 403
    assert refused.json() == [
        {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    ]


def test_userinfo_says_who_is_logged_in(emulator: RunningEmulator, api: Api) -> None:
    emulator.reset_requests()
    spent = emulator.control("GET", "requests")["api_requests"]
    response = api.session.get(f"{emulator.http_url}/services/oauth2/userinfo", timeout=10)
    body = response.json()
    health = emulator.control("GET", "health")
    assert response.status_code == 200
    assert body["user_id"] == health["integration_user_id"]
    assert body["organization_id"] == health["organization_id"]
    assert body["sub"].endswith(f"/id/{body['organization_id']}/{body['user_id']}")
    assert body["name"] == f"{body['given_name']} {body['family_name']}"
    assert emulator.control("GET", "requests")["api_requests"] == spent


def test_userinfo_refuses_a_token_it_does_not_know(emulator: RunningEmulator) -> None:
    headers = {"Authorization": "Bearer nonsense"}
    url = f"{emulator.http_url}/services/oauth2/userinfo"
    response = requests.get(url, headers=headers, timeout=10)
    assert (response.status_code, response.text) == (403, "Bad_OAuth_Token")
