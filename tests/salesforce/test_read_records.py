"""Small reads by REST against a scripted wire."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import (
    FieldNotVisibleError,
    IncompleteJobError,
    InvalidFieldNameError,
)
from include.salesforce.records import records_schema
from tests.salesforce.scripted import Answer, ScriptedSalesforce, error

CONTACT = SalesforceObject.CONTACT
IDS = [to_18(f"003{number:012d}") for number in range(401)]
ACCOUNT = to_18("001000000000001")
USER = to_18("00500000000USER")
MORE = "/services/data/v65.0/query/0r8000000000001AAA-200"


def record(record_id: str, **values: object) -> dict[str, object]:
    return {
        "attributes": {"type": "Contact"},
        "Flag__c": True,
        "Id": record_id,
        "IsDeleted": False,
        "MasterRecordId": None,
        "LastModifiedDate": "2026-11-22T20:00:07.000+0000",
        "LastModifiedById": USER,
    } | values


def answer(
    rows: list[dict[str, object]], *, total: int | None = None, more: str | None = None
) -> Answer:
    body = {"totalSize": len(rows) if total is None else total, "done": more is None}
    return Answer(body=body | {"records": rows} | ({"nextRecordsUrl": more} if more else {}))


def read(
    salesforce: ScriptedSalesforce,
    ids: list[str],
    fields: tuple[str, ...] = ("Flag__c",),
    *,
    person_accounts: bool = False,
) -> pd.DataFrame:
    client = SalesforceClient(salesforce.session)
    return client.read_records(CONTACT, fields, ids, person_accounts=person_accounts)


def soql(salesforce: ScriptedSalesforce, request: int = 0) -> str:
    return parse_qs(urlsplit(str(salesforce.wire.sent[request].url)).query)["q"][0]


def test_records_are_asked_for_by_id_deleted_ones_included() -> None:
    gone = record(IDS[1], IsDeleted=True, MasterRecordId=IDS[2][:15])
    salesforce = ScriptedSalesforce(answer([record(IDS[0]), gone]))

    found = read(salesforce, [IDS[0][:15], IDS[1]])

    assert soql(salesforce).endswith(f" FROM Contact WHERE Id IN ('{IDS[0]}', '{IDS[1]}')")
    assert "/queryAll?" in str(salesforce.wire.sent[0].url)
    assert found["record_id"].tolist() == IDS[:2]
    assert found["Flag__c"].tolist() == [True, True]
    assert found["is_deleted"].tolist() == [False, True]
    assert found["master_record_id"].tolist()[1] == IDS[2]
    assert found["last_modified_at"].tolist() == [datetime(2026, 11, 22, 20, 0, 7, tzinfo=UTC)] * 2


@pytest.mark.parametrize("rows", [[], [record(IDS[0])]])
def test_columns_and_types_are_those_of_an_extract_also_without_rows(
    rows: list[dict[str, object]],
) -> None:
    found = read(ScriptedSalesforce(answer(rows)), IDS[:2])

    assert len(found) == len(rows), "a missing record is absent"
    expected = {each.name: pd.ArrowDtype(each.type) for each in records_schema(["Flag__c"])}
    assert found.dtypes.to_dict() == expected


def test_person_accounts_name_their_account() -> None:
    salesforce = ScriptedSalesforce(
        answer(
            [
                record(IDS[0], IsPersonAccount=True, AccountId=ACCOUNT),
                record(IDS[1], IsPersonAccount=False, AccountId=ACCOUNT),
            ]
        )
    )

    found = read(salesforce, IDS[:2], person_accounts=True)

    assert found["is_person_account"].tolist() == [True, False]
    assert found["account_id"].fillna("").tolist() == [ACCOUNT, ""]


def test_many_ids_are_asked_for_at_once_and_what_did_not_come_by_a_query() -> None:
    living = [record(each) if n > 1 else None for n, each in enumerate(IDS)]
    gone = [record(each, IsDeleted=True) for each in IDS[:2]]
    salesforce = ScriptedSalesforce(Answer(body=living), answer(gone))

    found = read(salesforce, IDS)

    assert sorted(found["record_id"]) == IDS
    assert found["is_deleted"].sum() == 2
    asked = json.loads(salesforce.wire.sent[0].body)
    assert salesforce.wire.sent[0].path_url.endswith("/composite/sobjects/Contact")
    assert asked["ids"] == IDS
    assert asked["fields"] == [
        "Id", "Flag__c", "IsDeleted", "MasterRecordId", "LastModifiedDate", "LastModifiedById",
    ]  # fmt: skip
    assert soql(salesforce, 1).endswith(f"WHERE Id IN ('{IDS[0]}', '{IDS[1]}')")


def test_what_is_asked_for_by_a_query_has_addresses_that_are_short_enough() -> None:
    answers = [answer([record(each) for each in IDS[n : n + 200]]) for n in (0, 200, 400)]
    salesforce = ScriptedSalesforce(Answer(body=[None] * len(IDS)), *answers)

    assert read(salesforce, IDS)["record_id"].tolist() == IDS
    assert max(len(str(each.url)) for each in salesforce.wire.sent) < 8_000


def test_a_result_of_several_pages_is_read_to_its_end() -> None:
    salesforce = ScriptedSalesforce(
        answer([record(IDS[0])], total=2, more=MORE), answer([record(IDS[1])], total=2)
    )

    assert read(salesforce, IDS[:2])["record_id"].tolist() == IDS[:2]
    assert salesforce.wire.sent[1].path_url == MORE


@pytest.mark.parametrize(
    "pages",
    [
        [answer([record(IDS[0])], total=2)],  # fewer than announced
        [answer([record(IDS[0])] * 2)],  # one twice
        [answer([record(IDS[5])])],  # never asked for
        [answer([record(IDS[0], Flag__c=None)])],
        [answer([record(IDS[0], IsDeleted="maybe")])],
        [answer([{"Id": IDS[0]}])],
        [answer([record(IDS[0])], total=3, more=MORE)] * 2,  # in a circle
    ],
)
def test_what_does_not_add_up_is_not_believed(pages: list[Answer]) -> None:
    with pytest.raises(IncompleteJobError):
        read(ScriptedSalesforce(*pages), IDS[:2])


def test_a_lost_answer_is_asked_for_again() -> None:
    salesforce = ScriptedSalesforce(Answer(503), answer([record(IDS[0])]))

    assert len(read(salesforce, IDS[:1])) == 1


def test_only_names_and_ids_reach_the_query() -> None:
    salesforce = ScriptedSalesforce()

    with pytest.raises(ValueError, match="1 of 1"):
        read(salesforce, ["003' OR Name != '"])
    with pytest.raises(InvalidFieldNameError):
        read(salesforce, IDS[:1], ("Flag__c FROM Contact--",))
    assert salesforce.wire.sent == []


def test_a_hidden_field_is_an_error() -> None:
    with pytest.raises(FieldNotVisibleError):
        read(ScriptedSalesforce(error(400, "INVALID_FIELD")), IDS[:1])


def test_nothing_asked_for_sends_nothing() -> None:
    salesforce = ScriptedSalesforce()

    assert read(salesforce, []).empty
    assert salesforce.wire.sent == []
