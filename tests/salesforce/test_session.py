import traceback

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from include.salesforce.client import SalesforceClient
from include.salesforce.errors import (
    ApiLimitError,
    FieldNotVisibleError,
    IncompleteJobError,
    InsecureConnectionError,
    SalesforceRequestError,
    SalesforceUnavailableError,
    SessionExpiredError,
)
from include.salesforce.limits import ApiBudget, parse_limit_info
from include.salesforce.session import Backoff, SalesforceSession
from include.salesforce.transport import refuse_clear_text
from tests.salesforce.scripted import HOST, TIMEOUTS, Answer, ScriptedSalesforce, error

ORG = "00D000000000001EAA"
EXPIRED = error(401, "INVALID_SESSION_ID")
REFUSED = requests.ConnectionError(
    MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
)
LOST = requests.ConnectionError("Connection aborted")


def test_nothing_is_sent_before_the_first_request() -> None:
    salesforce = ScriptedSalesforce()

    assert (salesforce.logins, salesforce.wire.sent) == (0, [])


def test_every_request_has_a_timeout_and_the_token() -> None:
    salesforce = ScriptedSalesforce(Answer(body={"a": 1}))

    assert salesforce.session.json("GET", "limits", repeatable=True) == {"a": 1}
    assert salesforce.wire.timeouts == [(TIMEOUTS.connect, TIMEOUTS.read)]
    (sent,) = salesforce.wire.sent
    assert sent.url == f"https://{HOST}/services/data/v65.0/limits"
    assert sent.headers["Authorization"] == "Bearer token-1"


def test_a_netrc_file_never_replaces_the_token(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write(f"machine {HOST} login someone password else\n")
    monkeypatch.setenv("NETRC", netrc)
    salesforce = ScriptedSalesforce(Answer())

    salesforce.session.request("GET", "limits", repeatable=True)

    assert salesforce.wire.sent[0].headers["Authorization"] == "Bearer token-1"


def test_a_new_login_keeps_the_callers_headers_parameters_and_body() -> None:
    """simple-salesforce loses them: the record would then be written unconditionally."""
    salesforce = ScriptedSalesforce(EXPIRED, Answer(204, b""))

    salesforce.session.request(
        "PATCH",
        "sobjects/Contact/003",
        repeatable=False,
        headers={"If-Unmodified-Since": "Sun, 22 Nov 2026 20:00:00 GMT"},
        params={"x": 1},
        json={"Flag__c": True},
    )

    first, second = salesforce.wire.sent
    assert salesforce.logins == 2
    assert second.headers["Authorization"] == "Bearer token-2"
    assert second.headers["If-Unmodified-Since"] == first.headers["If-Unmodified-Since"]
    assert (second.url, second.body) == (first.url, first.body)


def test_a_lasting_401_ends_after_one_new_login() -> None:
    salesforce = ScriptedSalesforce(EXPIRED, EXPIRED)

    with pytest.raises(SessionExpiredError):
        salesforce.session.request("GET", "limits", repeatable=True)

    assert (salesforce.logins, len(salesforce.wire.sent)) == (2, 2)


@pytest.mark.parametrize(
    "failure", [Answer(503, b"<html>"), Answer(406, b""), Answer(420, b"<p>"), Answer(429), LOST]
)
def test_a_repeatable_request_is_repeated(failure: Answer | Exception) -> None:
    salesforce = ScriptedSalesforce(failure, failure, Answer(body={"ok": True}))

    assert salesforce.session.json("GET", "limits", repeatable=True) == {"ok": True}
    assert len(salesforce.pauses) == 2


@pytest.mark.parametrize("failure", [Answer(503), LOST, requests.ReadTimeout()])
def test_a_request_that_must_not_happen_twice_is_not_repeated(failure: Answer | Exception) -> None:
    salesforce = ScriptedSalesforce(failure, Answer())

    with pytest.raises(SalesforceUnavailableError):
        salesforce.session.request("PATCH", "composite/sobjects", repeatable=False, json={})

    assert len(salesforce.wire.sent) == 1


@pytest.mark.parametrize("failure", [REFUSED, requests.ConnectTimeout()])
def test_a_request_that_never_left_is_repeated_in_any_case(failure: Exception) -> None:
    salesforce = ScriptedSalesforce(failure, Answer())

    salesforce.session.request("PATCH", "composite/sobjects", repeatable=False, json={})

    assert len(salesforce.wire.sent) == 2


def test_repetition_ends_and_says_how_it_failed() -> None:
    salesforce = ScriptedSalesforce(*[Answer(503)] * 3)

    with pytest.raises(SalesforceUnavailableError, match="HTTP 503"):
        salesforce.session.request("GET", "limits", repeatable=True)


def test_pauses_grow_stay_below_the_longest_and_honour_retry_after() -> None:
    backoff = Backoff(attempts=30, first=0.5, longest=8.0)
    salesforce = ScriptedSalesforce(
        Answer(503, headers={"Retry-After": "7"}), *[Answer(503)] * 28, Answer(), backoff=backoff
    )

    salesforce.session.request("GET", "limits", repeatable=True)

    assert len(salesforce.pauses) == 29
    assert 7.0 <= salesforce.pauses[0] <= 8.0
    assert max(salesforce.pauses) <= 8.0
    assert len(set(salesforce.pauses)) > 20, "jitter keeps many clients from coming back together"


def test_requests_inside_a_repeated_sequence_are_not_repeated_themselves() -> None:
    salesforce = ScriptedSalesforce(*[Answer(503)] * 3)

    with pytest.raises(SalesforceUnavailableError):
        salesforce.session.repeat(
            lambda: salesforce.session.request("GET", "limits", repeatable=True)
        )

    assert len(salesforce.wire.sent) == 3


def test_a_sequence_that_does_not_add_up_is_repeated() -> None:
    salesforce = ScriptedSalesforce()
    results = iter([IncompleteJobError("first"), None])

    def read() -> str:
        if (failure := next(results)) is not None:
            raise failure
        return "whole"

    assert salesforce.session.repeat(read) == "whole"


def test_a_body_that_breaks_off_is_no_answer() -> None:
    salesforce = ScriptedSalesforce(Answer(body={"a": 1}, breaks_off=True), Answer(body={"a": 1}))

    assert salesforce.session.json("GET", "limits", repeatable=True) == {"a": 1}
    assert len(salesforce.wire.sent) == 2


def test_a_body_that_is_not_json_is_no_answer_and_is_not_quoted() -> None:
    salesforce = ScriptedSalesforce(*[Answer(200, b"<html>ann@example.com")] * 3)

    with pytest.raises(SalesforceUnavailableError) as caught:
        salesforce.session.json("GET", "limits", repeatable=True)

    assert "ann@example.com" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__suppress_context__, "the decoder's error holds the body"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(403, "REQUEST_LIMIT_EXCEEDED"), ApiLimitError),
        (error(400, "INVALID_FIELD"), FieldNotVisibleError),
        (error(400, "MALFORMED_QUERY"), SalesforceRequestError),
        (error(403, "API_DISABLED_FOR_ORG"), SalesforceRequestError),
        (error(404, "NOT_FOUND"), SalesforceRequestError),
        (error(412, "PRECONDITION_FAILED"), SalesforceRequestError),
        (Answer(302, b"", {"Location": "http://elsewhere.example"}), SalesforceRequestError),
    ],
)
def test_a_refusal_is_named_at_once_and_without_salesforces_text(
    answer: Answer, kind: type[Exception]
) -> None:
    salesforce = ScriptedSalesforce(answer)

    with pytest.raises(kind) as caught:
        salesforce.session.request("GET", "limits", repeatable=True)

    assert "free text" not in "".join(traceback.format_exception(caught.value))
    assert len(salesforce.wire.sent) == 1


def test_a_request_error_carries_status_and_code() -> None:
    salesforce = ScriptedSalesforce(error(400, "MALFORMED_QUERY"))

    with pytest.raises(SalesforceRequestError) as caught:
        salesforce.session.request("GET", "query", repeatable=True)

    assert (caught.value.status, caught.value.code) == (400, "MALFORMED_QUERY")


def test_a_query_that_timed_out_is_repeated() -> None:
    salesforce = ScriptedSalesforce(error(400, "QUERY_TIMEOUT"), Answer())

    salesforce.session.request("GET", "query", repeatable=True)

    assert len(salesforce.wire.sent) == 2


def test_usage_is_the_latest_limit_info() -> None:
    salesforce = ScriptedSalesforce(
        Answer(headers={"Sforce-Limit-Info": "api-usage=18/5000"}),
        Answer(headers={"sforce-limit-info": "api-usage=19/5000"}),
        Answer(),
    )
    assert salesforce.session.usage is None

    for _ in range(3):
        salesforce.session.request("GET", "limits", repeatable=True)

    assert salesforce.session.usage == ApiBudget(used=19, allowed=5000)


@pytest.mark.parametrize(
    ("header", "budget"),
    [
        ("api-usage=18/5000", ApiBudget(18, 5000)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=x)", ApiBudget(25, 5000)),
        ("per-app-api-usage=17/250(appName=x); api-usage=25/5000", ApiBudget(25, 5000)),
        ("per-app-api-usage=17/250(appName=x)", None),
        ("", None),
        (None, None),
    ],
)
def test_limit_info_speaks_of_the_org_not_of_one_app(
    header: str | None, budget: ApiBudget | None
) -> None:
    assert parse_limit_info(header) == budget


def test_an_org_beyond_its_limit_has_nothing_left() -> None:
    assert ApiBudget(used=5003, allowed=5000).remaining == 0


@pytest.mark.parametrize(
    "url", ["https://acme.my.salesforce.com/x", "http://127.0.0.1:8080/", "http://localhost/x",
            "http://[::1]:80/"]
)  # fmt: skip
def test_https_and_this_machine_are_spoken_to(url: str) -> None:
    refuse_clear_text(url)


@pytest.mark.parametrize(
    "url",
    ["http://acme.my.salesforce.com/x", "http://127.0.0.1.example.com/", "http://10.0.0.1/",
     "ftp://127.0.0.1/", "", "http://localhost.example.com"],
)  # fmt: skip
def test_clear_text_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(InsecureConnectionError):
        refuse_clear_text(url)


def test_a_login_by_plain_http_is_refused() -> None:
    session = SalesforceSession(lambda http: http.post("http://login.salesforce.com/oauth2/token"))

    with pytest.raises(InsecureConnectionError):
        session.request("GET", "limits", repeatable=True)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (Answer(body={"id": f"https://{HOST}/id/00D000000000001EAA/005000000000001AAA"}), ORG),
        (Answer(body={"id": f"https://{HOST}/id/00D000000000001/005000000000001"}), ORG),
        (Answer(body={"id": f"https://{HOST}/id/nonsense/005000000000001"}), None),
        (Answer(body={"id": "00D000000000001EAA"}), None),
        (Answer(body={"id": None}), None),
        (Answer(body={}), None),
        (Answer(body=["id"]), None),
        (Answer(body=b"<soapenv:Envelope/>"), None),  # a login by user name and password
    ],
)
def test_the_answer_to_a_login_names_its_org(answer: Answer, named: str | None) -> None:
    salesforce = ScriptedSalesforce(answer, asks_for_a_token=True)

    assert salesforce.session.organization_id() == named
    assert len(salesforce.wire.sent) == 1


def test_an_org_that_no_login_named_is_asked_for() -> None:
    salesforce = ScriptedSalesforce(Answer(body={"records": [{"Id": "00D000000000001"}]}))

    assert SalesforceClient(salesforce.session).organization_id() == ORG
    assert len(salesforce.wire.sent) == 1
