"""Opt-outs of several objects in one request, against a scripted wire."""

import json

import pandas as pd
import pytest
import requests

from include.domain.ids import to_18
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import (
    IncompleteJobError,
    SalesforceRequestError,
    SalesforceUnavailableError,
)
from tests.salesforce.scripted import Answer, ScriptedSalesforce, error

FLAG, SALES = "HasOptedOutOfEmail", "Sales_Opt_Out__c"
CONTACTS = [to_18(f"003{number:012d}") for number in range(450)]
LEADS = [to_18(f"00Q{number:012d}") for number in range(3)]
ACCOUNT = to_18("001000000000001")


def rows(*records: tuple[str, str | None, tuple[str, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(records, columns=["record_id", "account_id", "fields"])
    named = {"003": "Contact", "00Q": "Lead"}
    return frame.assign(object=frame["record_id"].str[:3].map(named))


def done(*record_ids: str) -> list[dict[str, object]]:
    return [{"id": each, "success": True, "errors": []} for each in record_ids]


def rejected(code: str) -> dict[str, object]:
    return {"success": False, "errors": [{"statusCode": code, "message": "text", "fields": []}]}


def opt_out(salesforce: ScriptedSalesforce, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(SalesforceClient(salesforce.session).opt_out(frame), ignore_index=True)


def sent(salesforce: ScriptedSalesforce, request: int = 0) -> list[dict[str, object]]:
    return json.loads(salesforce.wire.sent[request].body)["records"]


def test_contacts_leads_and_person_accounts_go_in_one_request_each_with_its_flags() -> None:
    frame = rows(
        (LEADS[0], None, (SALES,)),
        (CONTACTS[0], None, (FLAG, SALES)),
        (CONTACTS[1], ACCOUNT, (FLAG, SALES)),
    )
    answer = [*done(ACCOUNT, CONTACTS[0]), rejected("FIELD_CUSTOM_VALIDATION_EXCEPTION")]
    salesforce = ScriptedSalesforce(Answer(body=answer))

    found = opt_out(salesforce, frame).set_index("record_id")

    assert sent(salesforce) == [
        {
            "attributes": {"type": "Account"},
            "id": ACCOUNT,
            "PersonHasOptedOutOfEmail": True,
            "Sales_Opt_Out__pc": True,
        },
        {"attributes": {"type": "Contact"}, "id": CONTACTS[0], FLAG: True, SALES: True},
        {"attributes": {"type": "Lead"}, "id": LEADS[0], SALES: True},
    ]
    assert found["succeeded"].to_dict() == {CONTACTS[1]: True, CONTACTS[0]: True, LEADS[0]: False}
    assert found.loc[LEADS[0], "failure_class"] == "validation"


def test_a_request_takes_two_hundred() -> None:
    answers = [Answer(body=done(*CONTACTS[n : n + 200])) for n in (0, 200, 400)]
    salesforce = ScriptedSalesforce(*answers)
    assert opt_out(salesforce, rows(*[(c, None, (FLAG,)) for c in CONTACTS]))["succeeded"].all()
    assert [len(sent(salesforce, n)) for n in range(3)] == [200, 200, 50]


def test_a_hidden_field_fails_only_the_records_that_need_it() -> None:
    frame = rows((CONTACTS[0], None, (FLAG,)), (LEADS[0], None, (SALES,)))
    hidden = error(400, "INVALID_FIELD")
    salesforce = ScriptedSalesforce(hidden, Answer(body=done(CONTACTS[0])), hidden)

    found = opt_out(salesforce, frame).set_index("record_id")

    assert found["succeeded"].to_dict() == {CONTACTS[0]: True, LEADS[0]: False}
    assert found.loc[LEADS[0], ["failure_class", "code"]].tolist() == [
        "permission",
        "INVALID_FIELD",
    ]


def test_what_an_account_may_not_is_one_code() -> None:
    answer = Answer(body=[rejected("INSUFFICIENT_ACCESS_OR_READONLY")])
    found = opt_out(ScriptedSalesforce(answer), rows((CONTACTS[0], ACCOUNT, (FLAG,))))
    assert found[["record_id", "code"]].to_numpy().tolist() == [[CONTACTS[0], "PERSON_ACCOUNT"]]


def test_a_lost_reply_is_not_asked_for_again_and_names_what_is_in_doubt() -> None:
    salesforce = ScriptedSalesforce(Answer(body=done(*CONTACTS[:200])), Answer(503))
    outcomes = SalesforceClient(salesforce.session).opt_out(
        rows(*[(c, None, (FLAG,)) for c in CONTACTS[:202]])
    )
    assert len(next(outcomes)) == 200
    with pytest.raises(SalesforceUnavailableError) as lost:
        next(outcomes)
    assert lost.value.in_doubt == {*CONTACTS[200:202]}
    assert len(salesforce.wire.sent) == 2


def test_what_certainly_never_left_is_sent_again() -> None:
    refused = requests.ConnectTimeout()
    salesforce = ScriptedSalesforce(refused, Answer(body=done(CONTACTS[0])))
    assert opt_out(salesforce, rows((CONTACTS[0], None, (FLAG,))))["succeeded"].all()


def test_an_answer_that_does_not_add_up_is_in_doubt_too() -> None:
    with pytest.raises(IncompleteJobError) as odd:
        opt_out(ScriptedSalesforce(Answer(body=[])), rows((CONTACTS[0], None, (FLAG,))))
    assert odd.value.in_doubt == {CONTACTS[0]}


def test_a_request_that_is_refused_as_a_whole_is_an_error() -> None:
    salesforce = ScriptedSalesforce(error(403, "API_DISABLED_FOR_ORG"))
    with pytest.raises(SalesforceRequestError):
        opt_out(salesforce, rows((CONTACTS[0], None, (FLAG,))))


@pytest.mark.parametrize("ids", [["nonsense"], [CONTACTS[0], CONTACTS[0]]])
def test_nonsense_is_never_sent(ids: list[str]) -> None:
    salesforce = ScriptedSalesforce()
    with pytest.raises(ValueError, match=r"one row|Salesforce Ids"):
        opt_out(salesforce, rows(*[(each, None, (FLAG,)) for each in ids]))
    assert salesforce.wire.sent == []
