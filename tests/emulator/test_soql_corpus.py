"""Statements which Salesforce accepts and refuses, asked over HTTP; and a lot of nonsense."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.salesforce_emulator.testing import Api, RunningEmulator


@pytest.fixture(scope="module")
def client(shared_emulator: RunningEmulator) -> Iterator[Api]:
    api = Api(shared_emulator)
    with api.session:
        yield api


ACCEPTED = [
    "SELECT Id FROM Contact",
    "select id, lastname from contact limit 1",
    "SELECT Contact.Id, Contact.LastName FROM Contact LIMIT 1",
    "SELECT c.Id, c.Account.Name FROM Contact c WHERE c.LastName != null LIMIT 1",
    "SELECT Id, Account.Name, LastModifiedBy.Name, Owner.Profile.Name FROM Contact LIMIT 1",
    "SELECT COUNT() FROM Lead WHERE IsConverted = false",
    "SELECT COUNT(Id) FROM Contact",
    "SELECT COUNT(Id) total, MAX(SystemModstamp) newest FROM Contact",
    "SELECT MIN(CreatedDate), MAX(CreatedDate) FROM Lead",
    "SELECT COUNT_DISTINCT(AccountId) FROM Contact",
    "SELECT Email, COUNT(Id) FROM Contact GROUP BY Email ORDER BY COUNT(Id) DESC LIMIT 3",
    "SELECT Account.Name, COUNT(Id) c FROM Contact GROUP BY Account.Name LIMIT 3",
    "SELECT FIELDS(STANDARD) FROM Lead",
    "SELECT FIELDS(ALL) FROM Contact LIMIT 200",
    "SELECT Id FROM Contact WHERE AccountId IN (SELECT Id FROM Account WHERE Name LIKE 'A%')",
    "SELECT Id FROM Account WHERE Id NOT IN (SELECT AccountId FROM Contact)",
    "SELECT Id FROM Contact WHERE NOT (LastName = 'x' OR LastName = 'y') AND Email != null",
    "SELECT Id FROM Contact WHERE SystemModstamp >= 2020-01-01T00:00:00Z",
    "SELECT Id FROM Contact WHERE SystemModstamp > 2020-01-01T00:00:00.000+05:30",
    "SELECT Id FROM Contact WHERE SystemModstamp = THIS_YEAR OR CreatedDate < LAST_90_DAYS",
    "SELECT Id FROM Contact WHERE CreatedDate >= LAST_N_DAYS:3000 ORDER BY Email NULLS LAST",
    "SELECT Id FROM Contact ORDER BY LastModifiedDate DESC NULLS FIRST, Id ASC LIMIT 5 OFFSET 5",
    "SELECT Id FROM Contact WHERE LastName IN ('Smith', 'O\\'Brien', null)",
    "SELECT Id FROM Contact WHERE LastName LIKE '%\\_%' OR FirstName LIKE 'A_a'",
    "SELECT Id FROM Lead WHERE ConvertedDate = null AND ConvertedDate < TODAY",
    "SELECT Id, Parent.Name FROM FieldPermissions WHERE Field = 'Contact.HasOptedOutOfEmail'",
    "SELECT PermissionSet.Name FROM PermissionSetAssignment WHERE Assignee.Username = 'x'",
    "SELECT Id\nFROM Contact\r\nWHERE\tLastName = 'Smith'",
]


@pytest.mark.parametrize("soql", ACCEPTED)
def test_salesforce_accepts_it(client: Api, soql: str) -> None:
    answer = client.query(soql)
    assert answer.status_code == 200, answer.text


REFUSED = [
    ("", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
    ("SELEKT Name FROM Account", "MALFORMED_QUERY", "unexpected token: SELEKT"),  # recorded
    ("SELECT FROM Contact", "MALFORMED_QUERY", "unexpected token: FROM"),
    ("SELECT * FROM Contact", "MALFORMED_QUERY", "unexpected token: *"),
    ("SELECT Id Contact", "MALFORMED_QUERY", "unexpected token: Contact"),
    ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
    ("SELECT Id FROM Contact WHERE Email = 'x", "MALFORMED_QUERY", "unexpected token: 'x"),
    ("SELECT Id FROM Contact WHERE A = 1 AND B = 2 OR C = 3", "MALFORMED_QUERY", "token: OR"),
    ("SELECT Id FROM Contact LIMIT ten", "MALFORMED_QUERY", "unexpected token: ten"),
    ("SELECT Id FROM Contact ALL ROWS", "MALFORMED_QUERY", "unexpected token: ROWS"),
    ("SELECT Id FROM Contact WITH SECURITY_ENFORCED", "MALFORMED_QUERY", "token: WITH"),
    ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "MALFORMED_QUERY", "unexpected token: ("),
    ("SELECT TYPEOF Owner WHEN User THEN Id END FROM Lead", "MALFORMED_QUERY", "unexpected token"),
    ("FIND {x} IN ALL FIELDS", "MALFORMED_QUERY", "unexpected token: FIND"),
    ("SELECT Id FROM Contact; DROP TABLE Contact", "MALFORMED_QUERY", "unexpected token: ;"),
    ("SELECT Email, COUNT(Id) FROM Contact", "MALFORMED_QUERY", "must be grouped or aggregated"),
    ("SELECT Id FROM Contact GROUP BY Email", "MALFORMED_QUERY", "must be grouped or aggregated"),
    ("SELECT COUNT() FROM Contact GROUP BY Email", "MALFORMED_QUERY", "COUNT()"),
    ("SELECT MAX(HasOptedOutOfEmail) FROM Contact", "MALFORMED_QUERY", "aggregate operator MAX"),
    ("SELECT FIELDS(ALL) FROM Contact", "MALFORMED_QUERY", "LIMIT of at most 200"),
    ("SELECT FIELDS(ALL) FROM Contact LIMIT 201", "MALFORMED_QUERY", "LIMIT of at most 200"),
    ("SELECT Id, Id FROM Contact", "INVALID_FIELD", "duplicate field selected: Id"),
    ("SELECT Bacon__c FROM Account LIMIT 2", "INVALID_FIELD", "No such column 'Bacon__c' on"),
    ("SELECT Account.Bacon FROM Contact", "INVALID_FIELD", "'Bacon' on entity 'Account'"),
    ("SELECT Bacon.Name FROM Contact", "INVALID_FIELD", "Didn't understand relationship 'Bacon'"),
    ("SELECT Id FROM Contact WHERE Nope = 1", "INVALID_FIELD", "No such column 'Nope'"),
    ("SELECT Id FROM Contact ORDER BY Nope", "INVALID_FIELD", "No such column 'Nope'"),
    ("SELECT Id FROM Contakt", "INVALID_TYPE", "sObject type 'Contakt' is not supported"),
    ("SELECT Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
    ("SELECT Id FROM Contact WHERE CreatedDate > '2020-01-01'", "INVALID_FIELD", "quotes"),
    ("SELECT FIELDS(CUSTOM) FROM User LIMIT 5", "MALFORMED_QUERY", "at least one field"),
    ("SELECT Id FROM Contact WHERE CreatedDate > 2020-01-01", "INVALID_FIELD", "type dateTime"),
    ("SELECT Id FROM Contact WHERE LastName = 5", "INVALID_FIELD", "enclosed in quotes"),
    ("SELECT Id FROM Contact WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field"),
    ("SELECT Id FROM ContactHistory WHERE OldValue = 'x'", "INVALID_FIELD", "can not be filtered"),
    ("SELECT Id FROM Contact WHERE A IN ()", "MALFORMED_QUERY", "unexpected token: )"),
]  # fmt: skip


@pytest.mark.parametrize(("soql", "code", "words"), REFUSED)
def test_salesforce_refuses_it_with_its_own_words(
    client: Api, soql: str, code: str, words: str
) -> None:
    answer = client.query(soql)
    (error,) = answer.json()
    assert (answer.status_code, error["errorCode"]) == (400, code)
    assert words in error["message"]


def test_a_query_of_a_hundred_thousand_characters_is_the_longest(client: Api) -> None:
    job = {"operation": "query", "query": f"SELECT Id FROM Lead {' ' * 99_981}"}
    refused = client.call("POST", "jobs/query", json=job)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "QUERY_TOO_COMPLICATED")
    job["query"] = job["query"][:-1]
    assert client.call("POST", "jobs/query", json=job).status_code == 200


def test_thousands_of_conditions_are_no_trouble(shared_emulator: RunningEmulator) -> None:
    api = Api(shared_emulator)
    conditions = " OR ".join(f"LastName = 'p{number}'" for number in range(3_000))
    job = {"operation": "query", "query": f"SELECT Id FROM Lead WHERE {conditions}"}
    job_id = api.call("POST", "jobs/query", json=job).json()["id"]
    for _ in range(500):
        if (state := api.get(f"jobs/query/{job_id}").json()["state"]) != "InProgress":
            break
    assert state in ("UploadComplete", "JobComplete")


def test_a_record_of_an_aggregate_is_shaped_as_recorded(client: Api) -> None:
    """From CumulusCI's TestDatasetsE2E.test_datasets_e2e.yaml: select count(Id) from Account."""
    answer = client.query("select count(Id) from Organization").json()
    assert answer == {
        "totalSize": 1,
        "done": True,
        "records": [{"attributes": {"type": "AggregateResult"}, "expr0": 1}],
    }


def test_a_parent_is_a_record_in_the_record(client: Api, shared_emulator: RunningEmulator) -> None:
    soql = "SELECT Account.Name, Account.Owner.Username, LastName FROM Contact LIMIT 1"
    (record,) = client.query(soql).json()["records"]
    assert list(record) == ["attributes", "Account", "LastName"]
    account = record["Account"]
    assert account["attributes"]["type"] == "Account"
    known = {each["Id"]: each["Name"] for each in shared_emulator.records("Account")}
    assert account["Name"] == known[account["attributes"]["url"].rpartition("/")[2]]
    assert account["Owner"]["attributes"]["type"] == "User"
    assert account["Owner"]["Username"].endswith("@emulated.example")


def test_a_missing_parent_is_null(client: Api) -> None:
    soql = "SELECT Id, ConvertedContact.Name FROM Lead WHERE IsConverted = false LIMIT 1"
    (record,) = client.query(soql).json()["records"]
    assert record["ConvertedContact"] is None


def test_a_hidden_field_is_hidden_at_the_end_of_a_path_too(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.set_field_access("Account", "Phone", readable=False, updateable=False)
    answer = api.query("SELECT Account.Phone FROM Contact LIMIT 1")
    assert "No such column 'Phone' on entity 'Account'" in answer.json()[0]["message"]
    emulator.set_object_access("Account", readable=False)
    answer = api.query("SELECT Account.Name FROM Contact LIMIT 1")
    assert "Didn't understand relationship 'Account'" in answer.json()[0]["message"]


def test_the_columns_of_a_query_can_be_asked_for(client: Api) -> None:
    """Salesforce's own command line does so before it prints a table."""
    soql = "SELECT Id, Account.Name, HasOptedOutOfEmail FROM Contact"
    answer = client.get("query", params={"q": soql, "columns": "true"}).json()
    assert [each["columnName"] for each in answer["columnMetadata"]] == [
        "Id",
        "Account",
        "HasOptedOutOfEmail",
    ]
    assert [each["columnName"] for each in answer["columnMetadata"][1]["joinColumns"]] == ["Name"]
    assert (answer["entityName"], answer["idSelected"]) == ("Contact", True)


def test_a_bulk_query_names_paths_in_its_header(client: Api) -> None:
    job = {"operation": "query", "query": "SELECT Id, Account.Name FROM Contact LIMIT 3"}
    job_id = client.call("POST", "jobs/query", json=job).json()["id"]
    while client.get(f"jobs/query/{job_id}").json()["state"] != "JobComplete":
        pass
    lines = client.get(f"jobs/query/{job_id}/results").text.splitlines()
    assert lines[0] == '"Id","Account.Name"'
    assert len(lines) == 4


def test_unordered_queries_can_come_in_any_order(emulator: RunningEmulator, api: Api) -> None:
    soql = "SELECT Id FROM Contact"
    usual = [each["Id"] for each in api.query(soql).json()["records"]]
    emulator.set_options(shuffle_unordered=3)
    shuffled = [each["Id"] for each in api.query(soql).json()["records"]]
    ordered = [each["Id"] for each in api.query(f"{soql} ORDER BY Id").json()["records"]]
    assert (shuffled != usual, sorted(shuffled), ordered) == (True, usual, usual)


WORDS = st.sampled_from(
    [
        "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "GROUP BY", "ORDER BY",
        "LIMIT", "OFFSET", "NULLS", "FIRST", "ASC", "DESC", "COUNT()", "COUNT(Id)", "MAX(",
        "FIELDS(ALL)", "Id", "Account.Name", "LastName", "HasOptedOutOfEmail", "SystemModstamp",
        "Contact", "Lead", "FieldPermissions", "ContactHistory", "OldValue", "(", ")", ",", "=",
        "!=", "<=", ">", "null", "true", "5", "-3.5", "99999999999999999999", "'x'", "''", "'%\\'",
        "'", "TODAY", "LAST_N_DAYS:5", "LAST_N_MONTHS:999999", "2026-01-01",
        "2026-01-01T00:00:00Z", "0000-00-00", "9999-12-31T23:59:59-12:00", "x__c", ".", ";", "--",
        "\x00", "é", "\u2028", "%", "?", ":a", "\"", "{table}",
    ]
)  # fmt: skip


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(WORDS, max_size=18))
def test_no_heap_of_words_is_an_error_of_the_server(client: Api, words: list[str]) -> None:
    assert_answered(client, " ".join(words))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(), st.sampled_from(ACCEPTED))
def test_no_damaged_query_is_an_error_of_the_server(client: Api, seed: int, soql: str) -> None:
    rng = random.Random(seed)
    text = list(soql)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        text[at : at + rng.randint(0, 3)] = rng.choice(["", "(", ")", "'", " ", ".", "0", "NOT "])
        text = text or [" "]
    assert_answered(client, "".join(text))


def assert_answered(client: Api, soql: str) -> None:
    answer = client.get(f"query/?q={quote(soql)}")
    assert answer.status_code in (200, 400), (soql, answer.text)
    body: Any = answer.json()
    assert isinstance(body, dict) if answer.ok else body[0]["errorCode"]
