"""Right requests with one wrong value in them: refused by their own words, never a crash."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

WRONG: list[Any] = [None, True, -1, 1.5, "", "x\x00é", [], {}, [None], ["x"], {"a": 1}, 10**30]

CONTACT = "003Hs0000000001IAA"
DATA: list[tuple[str, str, Any]] = [
    ("PATCH", f"sobjects/Contact/{CONTACT}", {"Title": "x", "HasOptedOutOfEmail": True}),
    ("POST", "sobjects/Lead", {"LastName": "x", "Company": "a", "Status": "Open"}),
    ("PATCH", "sobjects/Contact/Email/a@example.net", {"LastName": "q"}),
    ("POST", "sobjects/PermissionSet", {"Name": "P", "Label": "P"}),
    (
        "PATCH",
        "composite/sobjects",
        {
            "allOrNone": False,
            "records": [{"attributes": {"type": "Contact"}, "Id": CONTACT, "Title": "x"}],
        },
    ),
    (
        "PATCH",
        "composite/sobjects/Contact/Email",
        {"records": [{"attributes": {"type": "Contact"}, "LastName": "x", "Email": "b@x.net"}]},
    ),
    ("POST", "composite/sobjects/Contact", {"ids": [CONTACT], "fields": ["Id", "Name"]}),
    (
        "POST",
        "composite",
        {
            "allOrNone": True,
            "compositeRequest": [
                {
                    "method": "PATCH",
                    "url": f"/services/data/v65.0/sobjects/Contact/{CONTACT}",
                    "referenceId": "a",
                    "body": {"Title": "@{a.b}"},
                }
            ],
        },
    ),
    ("POST", "composite/batch", {"batchRequests": [{"method": "GET", "url": "v65.0/limits"}]}),
    ("POST", "jobs/query", {"operation": "query", "query": "SELECT Id FROM Contact"}),
    ("POST", "jobs/ingest", {"operation": "update", "object": "Contact", "lineEnding": "LF"}),
    (
        "POST",
        "tooling/sobjects/CustomField",
        {
            "FullName": "Contact.Y__c",
            "Metadata": {"type": "Text", "label": "x", "length": 5, "trackHistory": True},
        },
    ),
]
ORDERS: list[tuple[str, Any]] = [
    ("faults", {"status": 503, "path_contains": "nowhere", "times": 1, "after": 0, "seed": 1}),
    ("faults", {"action": "row_error", "ids": [CONTACT], "object": "Nothing", "rows": 1}),
    ("rules", {"kind": "duplicate", "object": "Contact", "name": "r", "match": ["Email"]}),
    ("rules", {"kind": "automation", "object": "Lead", "name": "r", "set": {"Title": "x"}}),
    ("edit", {"edits": [{"id": CONTACT, "fields": {"Title": "y"}}], "user": "human"}),
    ("options", {"latency": "zero", "gzip": False, "shuffle_unordered": 1}),
    ("clock", {"offset_seconds": 0}),
    ("field", {"object": "Contact", "metadata": {"fullName": "Q__c", "type": "Url", "label": "x"}}),
    ("merge", {"winner": CONTACT, "losers": [], "values": {}}),
    ("locks", {"ids": []}),
    ("user-permission", {"permission": "ViewSetup", "granted": True, "user": "human"}),
]


def spoiled(document: Any, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """Yield the document with each of its values replaced by each wrong one."""
    part = document
    for key in path:
        part = part[key]
    for wrong in WRONG if path else []:
        other = copy.deepcopy(document)
        holder = other
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = wrong
        yield other
    keys = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for key in keys:
        yield from spoiled(document, (*path, key))


@pytest.mark.parametrize(
    ("method", "path", "document"), DATA, ids=[f"{method} {path}" for method, path, _ in DATA]
)
def test_a_request_with_a_wrong_value_is_answered(
    api: Api, method: str, path: str, document: Any
) -> None:
    for body in spoiled(document):
        answer = api.call(method, path, json=body)
        assert answer.status_code < 500, (body, answer.text)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"1"])
@pytest.mark.parametrize("path", ["sobjects/Contact", "composite", "jobs/query"])
def test_a_body_that_is_no_object_is_refused(api: Api, path: str, body: bytes) -> None:
    assert 400 <= api.call("POST", path, data=body).status_code < 500


@pytest.mark.parametrize(("path", "document"), ORDERS)
def test_an_order_with_a_wrong_value_is_answered(
    emulator: RunningEmulator, api: Api, path: str, document: Any
) -> None:
    for body in spoiled(document):
        url = f"{emulator.http_url}/__emulator__/{path}"
        answer = api.session.post(url, json=body, timeout=10)
        assert answer.status_code < 500, (body, answer.text)


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer"},
        {"If-Modified-Since": "Wed, 99 Foo 2020 99:99:99 GMT"},
        {"If-Unmodified-Since": "Mon, 01 Jan 0001 00:00:00 GMT"},
        {"Sforce-Query-Options": "batchSize=99999999999999999999"},
        {"Content-Encoding": "gzip"},
        {"If-Match": "*"},
    ],
    ids=lambda header: next(iter(header)),
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"sobjects/Contact/{CONTACT}"),
        ("PATCH", f"sobjects/Contact/{CONTACT}"),
        ("GET", "query?q=SELECT+Id+FROM+Contact"),
        ("GET", "sobjects/Contact/describe"),
    ],
)
def test_a_header_with_a_wrong_value_is_answered(
    api: Api, method: str, path: str, header: dict[str, str]
) -> None:
    assert api.call(method, path, headers=header, json={"Title": "x"}).status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "sobjects/Contact/updated",
        "sobjects/Contact/deleted?start=2026-11-24T00:00:00Z&end=9999-12-31T23:59:59-12:00",
        "composite/sobjects/Contact?ids=x&fields=",
        "query/x-99999999999999999999",
        "limits/recordCount?sObjects=,,x",
        "sobjects/Contact/%00",
        "sobjects/Contact/Email/%00",
        "jobs/query/x/results?maxRecords=-1",
        "tooling/query",
        "tooling/sobjects/CustomField/x",
    ],
)
def test_a_path_that_leads_nowhere_is_answered(api: Api, path: str) -> None:
    assert api.get(path).status_code < 500
