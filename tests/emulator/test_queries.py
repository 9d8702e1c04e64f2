import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator, Size, running_emulator


def test_a_query_answers_records_in_the_recorded_shape(emulator: RunningEmulator, api: Api) -> None:
    first = emulator.records("Contact")[0]
    response = api.query(
        "SELECT id, email, hasoptedoutofemail, SystemModstamp FROM contact "
        f"WHERE Id = '{first['Id']}'"
    )
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert response.json() == {
        "totalSize": 1,
        "done": True,
        "records": [
            {
                "attributes": {
                    "type": "Contact",
                    "url": f"/services/data/v65.0/sobjects/Contact/{first['Id']}",
                },
                "Id": first["Id"],
                "Email": first["Email"],
                "HasOptedOutOfEmail": first["HasOptedOutOfEmail"],
                "SystemModstamp": first["SystemModstamp"],
            }
        ],
    }
    assert first["SystemModstamp"].endswith(".000+0000")


def test_answers_are_pretty_only_on_request(api: Api) -> None:
    soql = "SELECT Id FROM Organization"
    assert api.query(soql).text.startswith('{"totalSize":1,')
    pretty = api.query(soql, headers={"X-PrettyPrint": "1"}).text
    assert pretty.startswith('{\n  "totalSize" : 1,\n')


@pytest.mark.parametrize("path", ["query", "query/"])
def test_a_slash_before_the_question_mark_changes_nothing(api: Api, path: str) -> None:
    assert api.get(path, params={"q": "SELECT COUNT() FROM Lead"}).json() == {
        "totalSize": 40,
        "done": True,
        "records": [],
    }  # fmt: skip


def test_pages_cover_every_record_once(tmp_path: Path) -> None:
    with running_emulator(tmp_path, Size(contacts=450, leads=2_100)) as large:
        api = Api(large)
        wanted = {record["Id"] for record in large.records("Contact")}
        pages = list(pages_of(api, "SELECT Id FROM Contact", "batchSize=200"))
        assert [len(page["records"]) for page in pages] == [200, 200, 50]
        assert [page["done"] for page in pages] == [False, False, True]
        assert {page["totalSize"] for page in pages} == {450}
        assert {record["Id"] for page in pages for record in page["records"]} == wanted
        assert "nextRecordsUrl" not in pages[-1]
        by_default = list(pages_of(api, "SELECT Id FROM Lead", ""))
        assert [len(page["records"]) for page in by_default] == [2_000, 100]


def pages_of(api: Api, soql: str, options: str) -> Iterator[dict[str, Any]]:
    headers = {"Sforce-Query-Options": options}
    page = api.query(soql, headers=headers).json()
    yield page
    while not page["done"]:
        assert re.match(r"/services/data/v65.0/query/0r8\w{15}-\d+\Z", page["nextRecordsUrl"])
        path = page["nextRecordsUrl"].removeprefix("/services/data/v65.0/")
        page = api.get(path, headers=headers).json()
        yield page


def test_query_all_finds_deleted_records_too(emulator: RunningEmulator, api: Api) -> None:
    gone = emulator.records("Contact")[5]["Id"]
    emulator.delete(gone)
    soql = f"SELECT Id, IsDeleted FROM Contact WHERE Id = '{gone}'"
    assert api.query(soql).json()["totalSize"] == 0
    everything = api.get("queryAll", params={"q": soql}).json()
    assert [record["IsDeleted"] for record in everything["records"]] == [True]
    emulator.undelete(gone)
    assert api.query(soql).json()["totalSize"] == 1


def test_the_organization_and_its_users_can_be_asked_for(api: Api) -> None:
    (org,) = api.query("SELECT Id, Name, IsSandbox FROM Organization").json()["records"]
    assert org["Id"].startswith("00D")
    assert len(org["Id"]) == 18
    assert org["IsSandbox"] is True
    users = api.query("SELECT Id, Username FROM User").json()["records"]
    assert len({user["Username"] for user in users}) == 4


def test_a_malformed_query_is_refused_as_recorded(api: Api) -> None:
    response = api.query("SELEKT Name FROM Account")
    assert response.status_code == 400
    assert response.json() == [
        {"message": "unexpected token: SELEKT", "errorCode": "MALFORMED_QUERY"}
    ]


def test_an_unknown_locator_is_refused(api: Api) -> None:
    response = api.get("query/0r8ABCDEF012345678-2000")
    assert (response.status_code, response.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_a_query_too_long_for_a_url_is_refused(api: Api) -> None:
    ids = ",".join("'003Hs0000000001IAA'" for _ in range(900))
    assert api.query(f"SELECT Id FROM Contact WHERE Id IN ({ids})").status_code == 414


def test_seeded_people_are_realistic(emulator: RunningEmulator) -> None:
    contacts = emulator.records("Contact")
    emails = [contact["Email"] for contact in contacts if contact["Email"]]
    assert all(email.endswith(("@example.com", "@example.org")) for email in emails)
    assert any(not contact["LastName"].isascii() for contact in contacts)
    assert len(emails) < len(contacts)
    assert all("2021" <= each["CreatedDate"][:4] <= "2025" for each in contacts)
    assert all(each["CreatedDate"] <= each["LastModifiedDate"] < "2026" for each in contacts)
