"""Field history against a scripted wire."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import IncompleteJobError, SalesforceRequestError
from include.salesforce.history import HISTORY_SCHEMA
from tests.salesforce.scripted import Answer, ScriptedSalesforce, error
from tests.salesforce.test_read_records import answer, soql

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
IDS = [to_18(f"003{number:012d}") for number in range(3)]
USER = to_18("00500000000USER")
FIELDS = ("HasOptedOutOfEmail", "Sales_Opt_Out__c")


def change(
    record_id: str, value: object, second: int, field: str = "HasOptedOutOfEmail", **values: object
) -> dict[str, object]:
    return {
        "attributes": {},
        "ContactId": record_id,
        "Field": field,
        "NewValue": value,
        "CreatedDate": f"2026-11-22T20:00:{second:02d}.000+0000",
        "CreatedById": USER,
    } | values


def read(
    salesforce: ScriptedSalesforce,
    ids: list[str] = IDS,
    *,
    fields: tuple[str, ...] = FIELDS,
    person_accounts: bool = False,
) -> pd.DataFrame:
    client = SalesforceClient(salesforce.session)
    return client.read_history(CONTACT, fields, ids, person_accounts=person_accounts)


def found(frame: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(frame[["record_id", "field", "at", "is_opted_out"]].itertuples(index=False))


def at(second: int) -> datetime:
    return datetime(2026, 11, 22, 20, 0, second, tzinfo=UTC)


def test_the_newest_change_of_each_record_and_field_is_found_whatever_the_order() -> None:
    rows = [
        change(IDS[0], True, 5),
        change(IDS[0], False, 9),
        change(IDS[0], True, 7),
        change(IDS[0], True, 3, "Sales_Opt_Out__c"),
        change(IDS[1][:15], True, 1, CreatedById=USER[:15]),
    ]

    frame = read(ScriptedSalesforce(answer(rows)))

    assert found(frame) == {
        (IDS[0], "HasOptedOutOfEmail", at(9), False),
        (IDS[0], "Sales_Opt_Out__c", at(3), True),
        (IDS[1], "HasOptedOutOfEmail", at(1), True),
    }
    assert set(frame["by"]) == {USER}


def test_of_two_changes_in_one_second_the_opt_out_counts() -> None:
    for values in ([True, False], [False, True]):
        rows = [change(IDS[0], value, 5) for value in values]

        assert read(ScriptedSalesforce(answer(rows)))["is_opted_out"].tolist() == [True]


def test_a_newest_change_to_something_else_hides_the_older_ones() -> None:
    rows = [change(IDS[0], True, 5), change(IDS[0], None, 9), change(IDS[1], True, 2)]

    assert found(read(ScriptedSalesforce(answer(rows)))) == {
        (IDS[1], "HasOptedOutOfEmail", at(2), True)
    }


def test_the_query_names_the_object_its_parent_and_the_fields_and_leaves_out_nothing() -> None:
    salesforce = ScriptedSalesforce(answer([]), answer([]))
    client = SalesforceClient(salesforce.session)

    client.read_history(CONTACT, FIELDS, IDS[:1], person_accounts=False)
    client.read_history(LEAD, FIELDS[:1], [to_18("00Q000000000001")], person_accounts=True)

    assert soql(salesforce) == (
        "SELECT ContactId, Field, NewValue, CreatedDate, CreatedById FROM ContactHistory "
        f"WHERE ContactId IN ('{IDS[0]}') AND Field IN ('HasOptedOutOfEmail', 'Sales_Opt_Out__c')"
    )
    assert " LeadId IN " in soql(salesforce, 1)
    assert " FROM LeadHistory " in soql(salesforce, 1)
    assert all("/queryAll?" in str(each.url) for each in salesforce.wire.sent)


@pytest.mark.parametrize(
    "refusal",
    [
        answer([]),
        error(400, "INVALID_TYPE"),
        error(400, "INVALID_FIELD"),
        error(403, "INSUFFICIENT_ACCESS"),
    ],
)
def test_a_history_that_is_not_tracked_or_not_permitted_is_empty(refusal: Answer) -> None:
    frame = read(ScriptedSalesforce(refusal))

    assert frame.empty
    assert frame.dtypes.to_dict() == {
        each.name: pd.ArrowDtype(each.type) for each in HISTORY_SCHEMA
    }


def test_any_other_refusal_is_an_error() -> None:
    with pytest.raises(SalesforceRequestError):
        read(ScriptedSalesforce(error(400, "MALFORMED_QUERY")))


@pytest.mark.parametrize("damage", [{"ContactId": None}, {"CreatedDate": None}, {"Field": 7}])
def test_a_damaged_row_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(IncompleteJobError):
        read(ScriptedSalesforce(answer([change(IDS[0], True, 5, **damage)])))


ACCOUNT = to_18("001000000000001")
PERSON = {"attributes": {}, "Id": IDS[1][:15], "AccountId": ACCOUNT[:15]}


def of_account(value: object, second: int, field: str = "PersonHasOptedOutOfEmail") -> object:
    return change("", value, second, field) | {"AccountId": ACCOUNT}


def test_the_history_of_a_person_account_is_read_with_its_account() -> None:
    """Its Contact is not tracked: an old row there would pass for the newest change."""
    theirs = [
        of_account(True, 5),
        of_account(False, 3),
        of_account(False, 7, "Sales_Opt_Out__pc"),
    ]
    salesforce = ScriptedSalesforce(
        answer([PERSON]), answer([change(IDS[0], True, 5)]), answer(theirs)
    )

    frame = read(salesforce, person_accounts=True)

    assert found(frame) == {
        (IDS[0], "HasOptedOutOfEmail", at(5), True),
        (IDS[1], "HasOptedOutOfEmail", at(5), True),
        (IDS[1], "Sales_Opt_Out__c", at(7), False),
    }
    assert soql(salesforce).endswith(" AND IsPersonAccount = true")
    assert IDS[0] in soql(salesforce, 1)
    assert IDS[1] not in soql(salesforce, 1)
    assert soql(salesforce, 2) == (
        "SELECT AccountId, Field, NewValue, CreatedDate, CreatedById FROM AccountHistory "
        f"WHERE AccountId IN ('{ACCOUNT}') "
        "AND Field IN ('PersonHasOptedOutOfEmail', 'Sales_Opt_Out__pc')"
    )


def test_an_account_history_that_is_hidden_leaves_the_others_dated() -> None:
    salesforce = ScriptedSalesforce(
        answer([PERSON]), answer([change(IDS[0], True, 5)]), error(400, "INVALID_TYPE")
    )

    assert found(read(salesforce, person_accounts=True)) == {
        (IDS[0], "HasOptedOutOfEmail", at(5), True)
    }


def test_without_fields_or_records_nothing_is_sent() -> None:
    salesforce = ScriptedSalesforce()

    assert read(salesforce, []).empty
    assert read(salesforce, fields=()).empty
    assert salesforce.wire.sent == []
