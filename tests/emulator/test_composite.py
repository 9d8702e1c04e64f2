"""Several requests in one: in a row, as a batch, as graphs."""

from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

DATA = "/services/data/v65.0"


def part(reference: str, method: str, url: str, body: Any = None, **more: Any) -> dict[str, Any]:
    given = {} if body is None else {"body": body}
    return {"referenceId": reference, "method": method, "url": f"{DATA}/{url}", **given, **more}


def composite(api: Api, *parts: dict[str, Any], all_or_none: bool = False) -> Any:
    body = {"allOrNone": all_or_none, "compositeRequest": list(parts)}
    answer = api.call("POST", "composite", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["compositeResponse"]


def test_queries_are_answered_in_order_as_recorded(api: Api) -> None:
    """From CumulusCI's TestCompositeParallelSalesforce and TestCountSObjects."""
    first, second = composite(
        api,
        part("one", "GET", "query?q=SELECT Id FROM Organization LIMIT 1"),
        part("two", "GET", "query/?q=select count() from Opportunity"),
    )
    assert list(first) == ["body", "httpHeaders", "httpStatusCode", "referenceId"]
    assert (first["httpHeaders"], first["httpStatusCode"]) == ({}, 200)
    assert first["body"]["records"][0]["attributes"]["type"] == "Organization"
    assert (second["referenceId"], second["httpStatusCode"]) == ("two", 400)


def test_an_error_is_inside_as_recorded(api: Api) -> None:
    """From CumulusCI's TestCompositeParallelSalesforce.test_errors."""
    (answer,) = composite(api, part("CCI__RefId__0__", "GET", "sobjects/Foo"))
    assert answer == {
        "body": [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}],
        "httpHeaders": {},
        "httpStatusCode": 404,
        "referenceId": "CCI__RefId__0__",
    }


def test_a_conditional_part_is_not_modified_as_recorded(api: Api) -> None:
    """From CumulusCI's ManualEditTestCompositeParallelSalesforce.test_http_headers."""
    tag = api.get("sobjects").headers["ETag"]
    (answer,) = composite(api, part("one", "GET", "sobjects", httpHeaders={"If-None-Match": tag}))
    assert (answer["body"], answer["httpStatusCode"]) == (None, 304)
    assert answer["httpHeaders"].keys() == {"ETag", "Last-Modified"}


def test_later_parts_refer_to_earlier_answers(emulator: RunningEmulator, api: Api) -> None:
    account, contact, found = composite(
        api,
        part("account", "POST", "sobjects/Account", {"Name": "Sitwell-Bluth"}),
        part(
            "contact", "POST", "sobjects/Contact", {"LastName": "S", "AccountId": "@{account.id}"}
        ),
        part("found", "GET", "sobjects/Contact/@{contact.id}?fields=AccountId"),
    )
    assert account["httpHeaders"]["Location"].endswith(f"/Account/{account['body']['id']}")
    assert found["body"]["AccountId"] == account["body"]["id"]
    assert emulator.record(contact["body"]["id"])["AccountId"] == account["body"]["id"]


def test_a_reference_to_nothing_stops_its_part_only(api: Api) -> None:
    broken, fine = composite(
        api,
        part("one", "GET", "sobjects/Contact/@{nobody.id}"),
        part("two", "GET", "limits"),
    )
    assert broken["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert fine["httpStatusCode"] == 200


@pytest.mark.parametrize("all_or_none", [True, False])
def test_all_or_none_takes_back_what_was_done(
    emulator: RunningEmulator, api: Api, all_or_none: bool
) -> None:
    before = len(emulator.records("Account"))
    first, second = composite(
        api,
        part("one", "POST", "sobjects/Account", {"Name": "X"}),
        part("two", "POST", "sobjects/Contact", {}),
        all_or_none=all_or_none,
    )
    assert second["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    if all_or_none:
        assert first["body"][0]["errorCode"] == "PROCESSING_HALTED"
    made = len(emulator.records("Account")) - before
    assert made == (0 if all_or_none else 1)


def test_it_costs_one_api_request(api: Api) -> None:
    def used() -> int:
        text = api.get("limits").headers["Sforce-Limit-Info"]
        return int(text.removeprefix("api-usage=").partition("/")[0])

    before = used()
    composite(api, *(part(f"p{number}", "GET", "limits") for number in range(25)))
    assert used() - before == 2


@pytest.mark.parametrize(
    ("path", "key"),
    [("composite", "compositeRequest"), ("composite/batch", "batchRequests")],
)
def test_too_many_parts_are_refused(api: Api, path: str, key: str) -> None:
    refused = api.call("POST", path, json={key: [part("x", "GET", "limits")] * 26})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")
    assert api.call("POST", path, json={key: "many"}).status_code == 400


def test_a_batch_goes_on_after_an_error_unless_told_to_halt(
    emulator: RunningEmulator, api: Api
) -> None:
    contact = emulator.records("Contact")[0]["Id"]
    requests = [
        {
            "method": "PATCH",
            "url": f"v65.0/sobjects/Contact/{contact}",
            "richInput": {"Title": "X"},
        },
        {"method": "GET", "url": "v65.0/sobjects/Foo"},
        {"method": "GET", "url": "v65.0/limits"},
    ]
    answer = api.call("POST", "composite/batch", json={"batchRequests": requests}).json()
    assert answer["hasErrors"] is True
    assert [each["statusCode"] for each in answer["results"]] == [204, 404, 200]
    assert answer["results"][0]["result"] is None
    body = {"batchRequests": requests, "haltOnError": True}
    halted = api.call("POST", "composite/batch", json=body).json()["results"]
    assert [each["statusCode"] for each in halted] == [204, 404, 412]


def test_graphs_are_answered_as_recorded(emulator: RunningEmulator, api: Api) -> None:
    """The shapes: forcedotcom/sf-fx-runtime-java, composite-graph-create and -create-error."""
    good = [
        part("account", "POST", "sobjects/Account", {"Name": "A"}),
        part(
            "contact", "POST", "sobjects/Contact", {"LastName": "B", "AccountId": "@{account.id}"}
        ),
        part("gone", "DELETE", "sobjects/Contact/@{contact.id}"),
    ]
    bad = [
        part("account", "POST", "sobjects/Account", {"Name": "Never"}),
        part("contact", "POST", "sobjects/Contact", {}),
    ]
    graphs = [
        {"graphId": "good", "compositeRequest": good},
        {"graphId": "bad", "compositeRequest": bad},
    ]
    answer = api.call("POST", "composite/graph", json={"graphs": graphs}).json()
    done, undone = answer["graphs"]
    assert list(done) == ["graphId", "graphResponse", "isSuccessful"]
    assert (done["isSuccessful"], undone["isSuccessful"]) == (True, False)
    assert done["graphResponse"]["compositeResponse"][2]["httpStatusCode"] == 204
    assert "Never" not in {each["Name"] for each in emulator.records("Account")}
