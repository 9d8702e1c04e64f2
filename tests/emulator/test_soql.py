import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.salesforce_emulator import soql, soql_sql
from local.salesforce_emulator.database import Database
from local.salesforce_emulator.definitions import Definitions
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.identity import INTEGRATION_USER_ID
from local.salesforce_emulator.schema import Schema
from local.salesforce_emulator.seed import SeedPlan, seed_org
from local.salesforce_emulator.soql import Comparison, Junction, Literal, Membership, Name, Negation

# (record number, last name, email, opted out, deleted, modified)
PEOPLE = (
    (1, "Adams", "a@example.com", 1, 0, "2026-01-01T10:00:00.000Z"),
    (2, "baker", None, 0, 0, "2026-01-02T10:00:00.000Z"),
    (3, "O'Brien", "o@example.com", 0, 0, "2026-01-03T10:00:00.000Z"),
    (4, "50%_off\\", "x@example.org", 1, 0, "2026-01-04T10:00:00.000Z"),
    (5, "Gone", "gone@example.org", 1, 1, "2026-01-05T10:00:00.000Z"),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(Path(tmp_path_factory.mktemp("soql")) / "org.db")
    seed_org(database, SeedPlan(0, 0, 1))
    with database.write() as connection:
        connection.executemany(
            'insert into "Contact" ("Id", "LastName", "Email", "HasOptedOutOfEmail", "IsDeleted",'
            ' "LastModifiedDate", "SystemModstamp") values (?, ?, ?, ?, ?, ?6, ?6)',
            [(f"003Hs000000000{number}IAA", *rest) for number, *rest in PEOPLE],
        )
    return database


def schema_of(database: Database) -> Schema:
    return Schema(database, INTEGRATION_USER_ID, Definitions(database))


def found(database: Database, condition: str, *, include_deleted: bool = False) -> list[int]:
    query = soql.parse(f"SELECT Id FROM Contact WHERE {condition}")
    plan = soql_sql.plan(query, schema_of(database), include_deleted=include_deleted)
    rows = database.read().execute(f'select "Id" {plan.source}', plan.values)
    return [int(record_id[14]) for (record_id,) in rows]


def refusal(text: str, database: Database | None = None) -> SalesforceError:
    with pytest.raises(SalesforceError) as caught:
        understand(text, database)
    return caught.value


def understand(text: str, database: Database | None) -> None:
    query = soql.parse(text)
    if database is not None:
        soql_sql.plan(query, schema_of(database), include_deleted=False)


def test_a_query_becomes_a_tree_with_positions() -> None:
    query = soql.parse("select Id, Email from Contact\nwhere Email != null limit 5 offset 2")
    assert query.fields == (Name("Id", 1, 8), Name("Email", 1, 12))
    assert query.object_name == Name("Contact", 1, 23)
    assert query.where == Comparison(Name("Email", 2, 7), "!=", Literal("NULL", "null"))
    assert (query.limit, query.offset) == (5, 2)


def test_not_binds_tighter_than_and() -> None:
    where = soql.parse("SELECT Id FROM Lead WHERE NOT A = 1 AND B IN ('x', 'y')").where
    assert isinstance(where, Junction)
    assert isinstance(where.parts[0], Negation)
    assert where.parts[1] == Membership(
        Name("B", 1, 41), (Literal("STRING", "'x'"), Literal("STRING", "'y'")), negated=False
    )


def test_counting_needs_no_fields() -> None:
    assert soql.parse("SELECT COUNT() FROM Contact").fields == ()


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("HasOptedOutOfEmail = true", [1, 4]),
        ("hasoptedoutofemail = FALSE", [2, 3]),
        ("LastName = 'BAKER'", [2]),
        ("LastName = 'O\\'Brien'", [3]),
        ("LastName LIKE 'a%'", [1]),
        ("LastName LIKE '%\\%\\_off%'", [4]),
        ("LastName LIKE '%off\\\\'", [4]),
        ("LastName LIKE '_aker'", [2]),
        ("Email = null", [2]),
        ("Email != null", [1, 3, 4]),
        ("Email != 'a@example.com'", [2, 3, 4]),
        ("NOT Email = 'a@example.com'", [2, 3, 4]),
        ("NOT Email LIKE '%.com'", [2, 4]),
        ("Email IN ('a@example.com', null)", [1, 2]),
        ("Email NOT IN ('a@example.com')", [2, 3, 4]),
        ("SystemModstamp >= 2026-01-03T10:00:00Z", [3, 4]),
        ("SystemModstamp > 2026-01-03T10:00:00.000+0000", [4]),
        ("SystemModstamp >= 2026-01-03T10:00:00.500Z", [4]),
        ("SystemModstamp < 2026-01-03T12:00:00+02:00", [1, 2]),
        ("SystemModstamp = LAST_N_DAYS:20000", [1, 2, 3, 4]),
        ("SystemModstamp != TODAY", [1, 2, 3, 4]),
        ("SystemModstamp >= NEXT_YEAR", []),
        ("SystemModstamp <= TOMORROW AND SystemModstamp > LAST_N_WEEKS:1", []),
        ("SystemModstamp < LAST_N_DAYS:1", [1, 2, 3, 4]),
        ("SystemModstamp > TODAY", []),
        ("Id IN ('003Hs0000000001', '003Hs0000000002IAA')", [1, 2]),
        ("(Email = null OR LastName = 'Adams') AND HasOptedOutOfEmail = true", [1]),
        ("HasOptedOutOfEmail = true ORDER BY LastName DESC", [1, 4]),
        ("Id != null ORDER BY Email NULLS LAST LIMIT 2", [1, 3]),
        ("Id != null ORDER BY Email LIMIT 2", [2, 1]),
        ("Id != null ORDER BY LastName OFFSET 3", [3]),
    ],
)
def test_conditions_find_what_salesforce_would(
    database: Database, condition: str, numbers: list[int]
) -> None:
    assert found(database, condition) == numbers


def test_deleted_records_are_found_only_on_request(database: Database) -> None:
    assert found(database, "IsDeleted = true") == []
    assert found(database, "IsDeleted = true", include_deleted=True) == [5]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("SELEKT Name FROM Account", "SELEKT"),
        ("SELECT Id FROM", "'<EOF>'"),
        ("SELECT Id, FROM Contact", "FROM"),
        ("SELECT Id FROM Contact WHERE A = 1 AND B = 2 OR C = 3", "OR"),
        ("SELECT Email FROM Contact GROUP BY Email HAVING COUNT(Id) > 1", "HAVING"),
        ("SELECT Id FROM Contact LIMIT -1", "-1"),
        ("SELECT COUNT(), Id FROM Contact", ","),
        ("SELECT Id, (SELECT Id FROM Cases) FROM Contact", "("),
        ("SELECT Id FROM Contact WHERE Name = \"x\"", '"x"'),
        ("", "'<EOF>'"),
    ],
)  # fmt: skip
def test_what_the_grammar_does_not_know_is_malformed(text: str, token: str) -> None:
    error = refusal(text)
    assert (error.status, error.code) == (400, "MALFORMED_QUERY")
    assert error.message == f"unexpected token: {token}"


def test_an_unknown_column_is_pointed_at(database: Database) -> None:
    error = refusal("SELECT Bacon__c FROM Account LIMIT 2", database)
    assert error.body() == [
        {
            "message": "\nSELECT Bacon__c FROM Account LIMIT 2\n       ^\nERROR at Row:1:Column:8\n"
            "No such column 'Bacon__c' on entity 'Account'. If you are attempting to use a custom "
            "field, be sure to append the '__c' after the custom field name. Please reference your "
            "WSDL or the describe call for the appropriate names.",
            "errorCode": "INVALID_FIELD",
        }
    ]


def test_an_unknown_object_is_refused(database: Database) -> None:
    error = refusal("SELECT Id FROM Contakt", database)
    assert error.code == "INVALID_TYPE"
    assert "sObject type 'Contakt' is not supported" in error.message


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("SystemModstamp > '2026-01-01T00:00:00Z'", "of type dateTime and should not be enclosed"),
        ("HasOptedOutOfEmail = 'true'", "of type boolean and should not be enclosed"),
        ("Email = true", "of type email and should be enclosed"),
    ],
)
def test_values_must_be_quoted_according_to_the_type(
    database: Database, condition: str, complaint: str
) -> None:
    error = refusal(f"SELECT Id FROM Contact WHERE {condition}", database)
    assert error.code == "INVALID_FIELD"
    assert complaint in error.message


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("Id = '003Hs0000000001IAB'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Id LIKE '003%'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("LastModifiedBy.Nothing = 'x'", "INVALID_FIELD"),
        ("Nothing.Name = 'x'", "INVALID_FIELD"),
        ("HasOptedOutOfEmail > true", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SystemModstamp >= 2026-01-04", "INVALID_FIELD"),
        ("SystemModstamp > 9999-12-31T23:59:59-12:00", "MALFORMED_QUERY"),
        ("SystemModstamp > LAST_N_DAYS:999999", "MALFORMED_QUERY"),
        ("Id IN (SELECT LastName FROM Contact)", "INVALID_FIELD"),
        ("Id IN (SELECT Id FROM Contakt)", "INVALID_TYPE"),
        ("LastName IN (SELECT Id FROM Contact)", "INVALID_FIELD"),
        ("(" * 60 + "NOT " * 60 + "Id = null" + ")" * 60, "QUERY_TOO_COMPLICATED"),
        ("SystemModstamp > 2026-13-01T00:00:00Z", "MALFORMED_QUERY"),
        ("Id != null OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
    ],
)
def test_other_conditions_are_refused(database: Database, condition: str, code: str) -> None:
    assert refusal(f"SELECT Id FROM Contact WHERE {condition}", database).code == code


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_but_never_crashes(text: str) -> None:
    codes = set()
    try:
        soql.parse(text)
    except SalesforceError as error:
        codes.add(error.code)
    assert codes <= {"MALFORMED_QUERY"}


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=30))
def test_any_quoted_value_is_compared_as_itself(database: Database, value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    query = soql.parse(f"SELECT Id FROM Contact WHERE LastName = '{quoted}'")
    plan = soql_sql.plan(query, schema_of(database), include_deleted=False)
    assert plan.values == (value,)


conditions = st.recursive(
    st.sampled_from(
        ["HasOptedOutOfEmail = true", "Email = null", "LastName > 'c'", "Email LIKE '%org'"]
    ),
    lambda inner: st.one_of(
        inner.map("NOT ({})".format),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            "({0[0]}) {0[1]} ({0[2]})".format
        ),
    ),
    max_leaves=8,
)  # fmt: skip


@given(conditions)
def test_a_condition_and_its_negation_split_the_records(database: Database, condition: str) -> None:
    yes, no = found(database, condition), found(database, f"NOT ({condition})")
    assert sorted(yes + no) == [1, 2, 3, 4]


def test_the_readers_cannot_write(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.read().execute('delete from "Contact"')
