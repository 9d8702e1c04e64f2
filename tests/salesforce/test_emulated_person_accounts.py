"""Person accounts against the emulator: read with their Contact, written on their Account."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest
from upath import UPath

from include.domain.values import FailureClass, SalesforceObject
from include.salesforce.client import SalesforceClient
from local.salesforce_emulator.testing import RunningEmulator
from tests.salesforce.scripted import ListJournal

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
FIELD, CUSTOM = "HasOptedOutOfEmail", "Sales_Opt_Out__c"
COLLECTIONS, BULK = 100_000, 0
BOTH_WAYS = pytest.mark.parametrize("threshold", [COLLECTIONS, BULK], ids=["collections", "bulk"])


class People(NamedTuple):
    """Two Contacts of person accounts, a business Contact, and the Accounts of the first two."""

    person: str
    other: str
    business: str
    accounts: dict[str, str]

    @property
    def rows(self) -> pd.DataFrame:
        return pd.DataFrame(
            {"record_id": list(self.accounts), "account_id": list(self.accounts.values())}
        )


@pytest.fixture
def people(emulator: RunningEmulator) -> People:
    emulator.install_checkbox("Contact", CUSTOM, "Sales opt-out")
    emulator.enable_person_accounts()
    person, other, business, *_ = [
        each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]
    ]
    accounts = {each: emulator.make_person_account(each) for each in (person, other)}
    for each in (person, other, business):
        emulator.edit(each, **{FIELD: False, CUSTOM: False})
    emulator.reset_requests()
    return People(person, other, business, accounts)


def write(
    client: SalesforceClient, people: People, threshold: int = COLLECTIONS, field: str = FIELD
) -> pd.DataFrame:
    frames = client.write_person_accounts(
        field, people.rows, ListJournal(), bulk_threshold=threshold
    )
    return pd.concat(list(frames)).set_index("record_id")


def read_at(client: SalesforceClient, record_id: str) -> datetime:
    found = client.read_records(CONTACT, [], [record_id], person_accounts=True)
    return found["last_modified_at"].iloc[0].to_pydatetime()  # type: ignore[no-any-return]


def test_only_an_org_with_person_accounts_says_so(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    assert client.has_person_accounts() is False
    emulator.enable_person_accounts()
    assert client.has_person_accounts() is True


def test_an_extract_names_the_account_of_a_person_and_of_nobody_else(
    client: SalesforceClient, people: People, tmp_path: Path
) -> None:
    destination = UPath(tmp_path / "contacts.parquet")

    client.extract_records(CONTACT, [FIELD], destination, ListJournal(), person_accounts=True)
    client.extract_records(
        LEAD, [FIELD], UPath(tmp_path / "leads.parquet"), ListJournal(), person_accounts=True
    )

    rows = pq.read_table(str(destination)).to_pylist()
    found = {row["record_id"]: row["account_id"] for row in rows if row["is_person_account"]}
    assert found == people.accounts
    assert {row["account_id"] for row in rows if not row["is_person_account"]} == {None}
    read = client.read_records(
        CONTACT, [FIELD], [people.person, people.business], person_accounts=True
    ).set_index("record_id")
    assert read.loc[people.person, "account_id"] == people.accounts[people.person]
    assert read["is_person_account"].to_dict() == {people.person: True, people.business: False}


@BOTH_WAYS
@pytest.mark.parametrize("field", [FIELD, CUSTOM])
def test_an_opt_out_on_the_account_is_one_of_the_contact(
    client: SalesforceClient, people: People, threshold: int, field: str
) -> None:
    found = write(client, people, threshold, field)

    assert found["succeeded"].all()
    assert set(found.index) == {people.person, people.other}
    flags = client.read_flags(CONTACT, [FIELD, CUSTOM], list(people.accounts))
    assert flags[field].all()
    assert not flags[({FIELD, CUSTOM} - {field}).pop()].any()


@pytest.mark.parametrize("readable", [True, False], ids=["read-only", "hidden"])
def test_an_account_we_may_not_write_is_a_permission(
    emulator: RunningEmulator, client: SalesforceClient, people: People, readable: bool
) -> None:
    seen = read_at(client, people.person)
    emulator.set_field_access(
        "Account", "PersonHasOptedOutOfEmail", readable=readable, updateable=False
    )

    found = write(client, people)
    cleared = client.clear_record(
        CONTACT,
        people.person,
        [FIELD],
        unmodified_since=seen,
        account_id=people.accounts[people.person],
    )

    assert set(found["code"]) == {"PERSON_ACCOUNT"}
    assert set(found["failure_class"]) == {"permission"}
    assert (cleared.code, cleared.failure_class) == ("PERSON_ACCOUNT", FailureClass.PERMISSION)


def test_a_hidden_account_object_is_a_permission(
    emulator: RunningEmulator, client: SalesforceClient, people: People
) -> None:
    emulator.set_object_access("Account", readable=False)

    assert set(write(client, people)["code"]) == {"PERSON_ACCOUNT"}


def test_the_contact_itself_is_refused(client: SalesforceClient, people: People) -> None:
    (frame,) = client.write_flags(CONTACT, FIELD, [people.person, people.business], ListJournal())

    found = frame.set_index("record_id")
    assert found["succeeded"].to_dict() == {people.person: False, people.business: True}
    assert found.loc[people.person, "failure_class"] == "permission"


def test_a_person_is_cleared_on_the_account_and_only_if_unchanged(
    client: SalesforceClient, people: People
) -> None:
    write(client, people)
    write(client, people, field=CUSTOM)
    seen = read_at(client, people.person)

    def clear(unmodified_since: datetime) -> str | None:
        return client.clear_record(
            CONTACT,
            people.person,
            [FIELD, CUSTOM],
            unmodified_since=unmodified_since,
            account_id=people.accounts[people.person],
        ).code

    assert clear(seen.replace(year=seen.year - 1)) == "CHANGED_SINCE_READ"
    assert clear(seen) is None

    flags = client.read_flags(CONTACT, [FIELD, CUSTOM], [people.person, people.other])
    assert flags.set_index("record_id").loc[people.person].tolist() == [False, False]
    assert flags.set_index("record_id").loc[people.other].tolist() == [True, True]


def test_a_lost_reply_is_answered_by_the_contact(
    emulator: RunningEmulator, client: SalesforceClient, people: People
) -> None:
    write(client, people)
    seen = read_at(client, people.person)
    emulator.add_fault(method="PATCH", path_contains="/sobjects/Account/", action="reset_after")

    outcome = client.clear_record(
        CONTACT,
        people.person,
        [FIELD],
        unmodified_since=seen,
        account_id=people.accounts[people.person],
    )

    assert outcome.succeeded


def histories(client: SalesforceClient, people: People) -> dict[tuple[str, str], bool]:
    ids = [people.person, people.other, people.business]
    found = client.read_history(CONTACT, [FIELD, CUSTOM], ids, person_accounts=True)
    return found.set_index(["record_id", "field"])["is_opted_out"].to_dict()


def test_the_history_of_a_person_is_read_with_the_account(
    emulator: RunningEmulator, client: SalesforceClient, people: People
) -> None:
    emulator.edit(people.other, **{CUSTOM: True})
    emulator.track_history("Contact", FIELD)
    emulator.track_history("Account", f"Person{FIELD}")
    emulator.track_history("Account", "Sales_Opt_Out__pc")
    for record_id in (people.person, people.business):
        emulator.edit(record_id, **{FIELD: True, CUSTOM: True})
    emulator.edit(people.other, **{CUSTOM: False})

    assert histories(client, people) == {
        (people.person, FIELD): True,
        (people.person, CUSTOM): True,
        (people.other, CUSTOM): False,
        (people.business, FIELD): True,
    }


def test_the_history_of_a_person_is_not_the_one_of_the_contact_that_it_was(
    emulator: RunningEmulator, client: SalesforceClient, people: People
) -> None:
    emulator.track_history("Contact", FIELD)
    emulator.edit(people.business, **{FIELD: True})
    emulator.make_person_account(people.business)

    assert histories(client, people) == {}
