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
    RECORDS_SCHEMA,
    column_types,
    normalised,
    select_all,
    to_records,
)

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
ID_15 = "00300000003VGXb"
ID_18 = to_18(ID_15)
USER = to_18("00500000000USER")
MODIFIED = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def page(obj: SalesforceObject, field: str | None, **values: object) -> pa.Table:
    row = {
        "Id": ID_18,
        "Flag__c": True,
        "IsDeleted": False,
        "MasterRecordId": None,
        "IsConverted": False,
        "ConvertedContactId": None,
        "LastModifiedDate": MODIFIED,
        "LastModifiedById": USER,
    } | values
    types = column_types(obj, field)
    return pa.table({name: pa.array([row[name]], kind) for name, kind in types.items()})


def test_soql_selects_what_the_sync_needs_and_leaves_no_order_to_salesforce() -> None:
    assert select_all(CONTACT, "HasOptedOutOfEmail") == (
        "SELECT HasOptedOutOfEmail, Id, IsDeleted, MasterRecordId, LastModifiedDate, "
        "LastModifiedById FROM Contact"
    )
    assert select_all(LEAD, None) == (
        "SELECT Id, IsDeleted, MasterRecordId, IsConverted, ConvertedContactId, LastModifiedDate, "
        "LastModifiedById FROM Lead"
    )


@pytest.mark.parametrize(
    "field", ["", "1a", "Email, Name", "Id FROM User--", "a b", "ä", "Flag__c\n", "a'"]
)
def test_what_is_not_a_field_name_never_reaches_salesforce(field: str) -> None:
    with pytest.raises(InvalidFieldNameError):
        select_all(CONTACT, field)
    with pytest.raises(InvalidFieldNameError):
        to_csv(normalised([ID_18]), field, True)


def test_a_page_becomes_records_of_the_declared_schema() -> None:
    records = to_records(page(LEAD, "Flag__c", IsConverted=True), LEAD, "Flag__c")

    assert records.schema == RECORDS_SCHEMA
    assert records.to_pylist() == [
        {
            "record_id": ID_18,
            "object": "Lead",
            "is_opted_out": True,
            "is_deleted": False,
            "master_record_id": None,
            "is_converted": True,
            "converted_contact_id": None,
            "last_modified_at": MODIFIED,
            "last_modified_by": USER,
        }
    ]


def test_an_unreadable_flag_is_null_not_false() -> None:
    records = to_records(page(CONTACT, None), CONTACT, None)

    assert records["is_opted_out"].to_pylist() == [None]
    assert records["is_converted"].to_pylist() == [False]


def test_ids_of_15_characters_are_completed() -> None:
    short = page(CONTACT, "Flag__c", Id=ID_15, MasterRecordId=ID_15, LastModifiedById=USER[:15])

    (record,) = to_records(short, CONTACT, "Flag__c").to_pylist()

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
    ],
)
def test_a_damaged_page_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(IncompleteJobError):
        to_records(page(CONTACT, "Flag__c", **damage), CONTACT, "Flag__c")


def test_each_record_is_sent_once_in_18_characters() -> None:
    other = to_18("00300000003VGXc")

    assert normalised([ID_15, other, ID_18]).tolist() == [ID_18, other]


def test_what_is_no_id_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="1 of 2"):
        normalised([ID_18, "not-an-id"])


@given(st.integers(0, 50), st.booleans())
def test_the_upload_has_one_line_per_record_and_never_an_empty_value(
    count: int, value: bool
) -> None:
    sent = normalised([to_18(f"003{number:012d}") for number in range(count)])

    lines = to_csv(sent, "Flag__c", value).decode().split("\n")

    assert lines[0] == "Id,Flag__c"
    assert lines[-1] == ""
    assert lines[1:-1] == [f"{each},{str(value).lower()}" for each in sent]
