import traceback
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.bulk_ingest import to_csv
from include.salesforce.errors import IncompleteJobError, InvalidFieldNameError
from include.salesforce.records import (
    Selection,
    column_types,
    normalised,
    records_schema,
    select_all,
    to_records,
    typed_table,
)

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
ID_15 = "00300000003VGXb"
ID_18 = to_18(ID_15)
USER = to_18("00500000000USER")
MODIFIED = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


ACCOUNT = to_18("00100000000ACCT")
CONTACT_FLAG = Selection(CONTACT, ("Flag__c",))
PERSON = Selection(CONTACT, ("Flag__c",), person_accounts=True)


def page(selection: Selection, **values: object) -> pa.Table:
    row = {
        "Id": ID_18,
        "Flag__c": True,
        "HasOptedOutOfEmail": False,
        "IsDeleted": False,
        "MasterRecordId": None,
        "IsConverted": False,
        "ConvertedContactId": None,
        "IsPersonAccount": False,
        "AccountId": ACCOUNT,
        "LastModifiedDate": MODIFIED,
        "LastModifiedById": USER,
    } | values
    types = column_types(selection)
    return pa.table({name: pa.array([row[name]], kind) for name, kind in types.items()})


def test_soql_selects_what_the_sync_needs_and_leaves_no_order_to_salesforce() -> None:
    assert select_all(Selection(CONTACT, ("HasOptedOutOfEmail", "Flag__c"))) == (
        "SELECT HasOptedOutOfEmail, Flag__c, Id, IsDeleted, MasterRecordId, LastModifiedDate, "
        "LastModifiedById FROM Contact"
    )
    assert select_all(Selection(LEAD, ())) == (
        "SELECT Id, IsDeleted, MasterRecordId, IsConverted, ConvertedContactId, LastModifiedDate, "
        "LastModifiedById FROM Lead"
    )


def test_columns_of_person_accounts_are_selected_only_of_contacts_of_an_org_that_has_them() -> None:
    assert select_all(PERSON) == (
        "SELECT Flag__c, Id, IsDeleted, MasterRecordId, IsPersonAccount, AccountId, "
        "LastModifiedDate, LastModifiedById FROM Contact"
    )
    assert "Account" not in select_all(Selection(LEAD, (), person_accounts=True))
    assert "Account" not in select_all(CONTACT_FLAG)


@pytest.mark.parametrize(
    "field", ["", "1a", "Email, Name", "Id FROM User--", "a b", "ä", "Flag__c\n", "a'"]
)
def test_what_is_not_a_field_name_never_reaches_salesforce(field: str) -> None:
    with pytest.raises(InvalidFieldNameError):
        select_all(Selection(CONTACT, (field,)))
    with pytest.raises(InvalidFieldNameError):
        to_csv(normalised([ID_18]), field)


def test_a_page_becomes_records_of_the_declared_schema() -> None:
    selection = Selection(LEAD, ("Flag__c", "HasOptedOutOfEmail"))

    records = to_records(page(selection, IsConverted=True), selection)

    assert records.schema == records_schema(selection.fields)
    assert records.to_pylist() == [
        {
            "record_id": ID_18,
            "object": "Lead",
            "is_deleted": False,
            "master_record_id": None,
            "is_converted": True,
            "converted_contact_id": None,
            "is_person_account": False,
            "account_id": None,
            "last_modified_at": MODIFIED,
            "last_modified_by": USER,
            "Flag__c": True,
            "HasOptedOutOfEmail": False,
        }
    ]


def test_a_field_that_is_not_selected_has_no_column() -> None:
    records = to_records(page(Selection(CONTACT, ())), Selection(CONTACT, ()))

    assert "Flag__c" not in records.column_names
    assert records["is_converted"].to_pylist() == [False]


@pytest.mark.parametrize(("is_person", "account"), [(True, ACCOUNT), (False, None)])
def test_the_account_is_named_for_person_accounts_only(
    is_person: bool, account: str | None
) -> None:
    given = page(PERSON, IsPersonAccount=is_person, AccountId=ACCOUNT[:15])

    (record,) = to_records(given, PERSON).to_pylist()

    assert (record["is_person_account"], record["account_id"]) == (is_person, account)


def test_ids_of_15_characters_are_completed() -> None:
    short = page(CONTACT_FLAG, Id=ID_15, MasterRecordId=ID_15, LastModifiedById=USER[:15])

    (record,) = to_records(short, CONTACT_FLAG).to_pylist()

    assert record["record_id"] == record["master_record_id"] == ID_18
    assert record["last_modified_by"] == USER


@pytest.mark.parametrize(
    "damage",
    [
        {"Id": None},
        {"Id": "nonsense"},
        {"Flag__c": None},
        {"IsDeleted": None},
        {"LastModifiedDate": None},
        {"LastModifiedById": USER[:7]},  # where a result is cut short inside its last value
        {"IsPersonAccount": None},
        {"IsPersonAccount": True, "AccountId": None},
    ],
)
def test_a_damaged_page_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(IncompleteJobError):
        to_records(page(PERSON, **damage), PERSON)


@pytest.mark.parametrize(
    "row",
    [
        {"Id": ID_18},  # a column is missing
        {"Id": ID_18, "At": "yesterday, by ann@example.com"},
        {"Id": 7, "At": "2026-11-22T20:00:00.000+0000"},
    ],
)
def test_a_rest_row_of_another_shape_is_refused_without_quoting_it(row: dict[str, object]) -> None:
    types = {"Id": pa.string(), "At": pa.timestamp("us", tz="UTC")}

    with pytest.raises(IncompleteJobError) as caught:
        typed_table([row], types)

    assert "ann@example.com" not in "".join(traceback.format_exception(caught.value))


def test_each_record_is_sent_once_in_18_characters() -> None:
    other = to_18("00300000003VGXc")

    assert normalised([ID_15, other, ID_18]).tolist() == [ID_18, other]


def test_what_is_no_id_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="1 of 2"):
        normalised([ID_18, "not-an-id"])


@given(st.integers(0, 50))
def test_the_upload_has_one_line_per_record_and_never_an_empty_value(count: int) -> None:
    sent = normalised([to_18(f"003{number:012d}") for number in range(count)])

    lines = to_csv(sent, "Flag__c").decode().split("\n")

    assert lines[0] == "Id,Flag__c"
    assert lines[-1] == ""
    assert lines[1:-1] == [f"{each},true" for each in sent]
