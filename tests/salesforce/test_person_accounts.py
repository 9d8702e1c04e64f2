"""Person accounts against a scripted wire."""

import json

import pandas as pd
import pytest

from include.domain.ids import to_18
from include.salesforce.client import SalesforceClient
from include.salesforce.outcomes import outcomes
from tests.salesforce.scripted import Answer, ListJournal, ScriptedSalesforce, error

CONTACTS = [to_18(f"003{number:012d}") for number in range(3)]
ACCOUNTS = [to_18(f"001{number:012d}") for number in range(3)]
ROWS = pd.DataFrame({"record_id": CONTACTS, "account_id": ACCOUNTS})


def describe(*fields: str, updateable: bool = True) -> Answer:
    known = {"type": "boolean", "updateable": updateable}
    return Answer(body={"fields": [{"name": each, **known} for each in fields]})


def result(account: str, code: str | None = None) -> dict[str, object]:
    errors = [] if code is None else [{"statusCode": code, "message": "ann@example.com"}]
    return {"id": account, "success": code is None, "errors": errors}


def write(
    salesforce: ScriptedSalesforce,
    rows: pd.DataFrame = ROWS,
    field: str = "HasOptedOutOfEmail",
) -> pd.DataFrame:
    client = SalesforceClient(salesforce.session)
    return pd.concat(list(client.write_person_accounts(field, rows, ListJournal())))


@pytest.mark.parametrize(
    ("field", "of_account"),
    [
        ("HasOptedOutOfEmail", "PersonHasOptedOutOfEmail"),
        ("Sales_Opt_Out__c", "Sales_Opt_Out__pc"),
        ("acme__Opt_Out__c", "acme__Opt_Out__pc"),
    ],
)
def test_the_account_is_written_and_the_contact_reported(field: str, of_account: str) -> None:
    salesforce = ScriptedSalesforce(
        describe(of_account), Answer(body=[result(each) for each in ACCOUNTS])
    )
    rows = ROWS.assign(account_id=ROWS["account_id"].str[:15])

    found = write(salesforce, rows, field)

    assert json.loads(salesforce.wire.sent[1].body or b"")["records"][0] == {
        "attributes": {"type": "Account"},
        "id": ACCOUNTS[0],
        of_account: True,
    }
    assert found["record_id"].tolist() == CONTACTS
    assert found["succeeded"].all()


def test_each_rejected_account_is_the_failure_of_its_contact() -> None:
    answers = [
        result(ACCOUNTS[0], "INSUFFICIENT_ACCESS_OR_READONLY"),
        result(ACCOUNTS[1], "UNABLE_TO_LOCK_ROW"),
        result(ACCOUNTS[2]),
    ]
    salesforce = ScriptedSalesforce(describe("PersonHasOptedOutOfEmail"), Answer(body=answers))

    found = write(salesforce).set_index("record_id")

    assert found["code"].fillna("").tolist() == ["PERSON_ACCOUNT", "UNABLE_TO_LOCK_ROW", ""]
    assert found["failure_class"].fillna("").tolist() == ["permission", "retry", ""]
    assert "edit access to Accounts" in found.loc[CONTACTS[0], "fix"]
    assert found["fix"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "access",
    [
        describe("Name"),
        describe("PersonHasOptedOutOfEmail", updateable=False),
        error(404, "NOT_FOUND"),
    ],
    ids=["hidden field", "read-only field", "hidden object"],
)
def test_what_we_may_not_write_is_not_sent_and_every_row_has_its_outcome(access: Answer) -> None:
    salesforce = ScriptedSalesforce(access)

    found = write(salesforce)

    assert len(salesforce.wire.sent) == 1
    assert found["record_id"].tolist() == CONTACTS
    assert set(found["code"]) == {"PERSON_ACCOUNT"}
    assert set(found["failure_class"]) == {"permission"}


def test_a_field_hidden_after_it_was_looked_up_is_not_permitted_either() -> None:
    salesforce = ScriptedSalesforce(
        describe("PersonHasOptedOutOfEmail"), error(400, "INVALID_FIELD")
    )

    assert set(write(salesforce)["code"]) == {"PERSON_ACCOUNT"}


def test_the_frames_have_the_columns_and_types_of_every_other_write() -> None:
    salesforce = ScriptedSalesforce(
        describe("PersonHasOptedOutOfEmail"), Answer(body=[result(each) for each in ACCOUNTS])
    )

    expected = outcomes(pd.Series(CONTACTS, dtype="str"), {})
    assert write(salesforce).dtypes.to_dict() == expected.dtypes.to_dict()


def test_ids_that_are_none_are_refused_before_anything_is_sent() -> None:
    salesforce = ScriptedSalesforce()

    with pytest.raises(ValueError, match="not every Contact"):
        write(salesforce, ROWS.assign(account_id=None))
    assert (
        list(
            SalesforceClient(salesforce.session).write_person_accounts(
                "HasOptedOutOfEmail", ROWS.iloc[:0], ListJournal()
            )
        )
        == []
    )
    assert salesforce.wire.sent == []


def test_an_org_has_person_accounts_when_contacts_have_the_column_for_it() -> None:
    for answer, has_them in [
        (describe("Id", "IsPersonAccount"), True),
        (describe("Id"), False),
        (error(404, "NOT_FOUND"), False),
    ]:
        assert (
            SalesforceClient(ScriptedSalesforce(answer).session).has_person_accounts() is has_them
        )
