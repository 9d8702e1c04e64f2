import pytest

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    return [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]][20:]


@pytest.fixture
def lead(emulator: RunningEmulator) -> str:
    leads = emulator.records("Lead")
    return next(each["Id"] for each in leads if not each["IsConverted"] and not each["IsDeleted"])


def test_a_person_may_write_what_the_integration_user_cannot_see(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    emulator.edit(contacts[0], HasOptedOutOfEmail=True)
    assert emulator.record(contacts[0])[OPT_OUT] is True


def test_edits_are_saved_together_or_not_at_all(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    before = emulator.record(contacts[0])
    edits = [
        {"id": contacts[0], "fields": {"Title": "never saved"}},
        {"id": contacts[1], "fields": {"LastName": None}},
    ]
    with pytest.raises(EmulatorError, match="REQUIRED_FIELD_MISSING"):
        emulator.control("POST", "edit", {"edits": edits})
    assert emulator.record(contacts[0]) == before


def test_merging_deletes_the_losers_and_names_the_winner(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    winner, *losers = contacts[:3]
    opted_out = emulator.record(winner)[OPT_OUT]
    emulator.merge(winner, losers)
    for loser in losers:
        record = emulator.record(loser)
        assert (record["IsDeleted"], record["MasterRecordId"]) == (True, winner)
    assert emulator.record(winner)["IsDeleted"] is False
    assert emulator.record(winner)[OPT_OUT] is opted_out


def test_a_record_cannot_be_merged_into_itself_or_another_object(
    emulator: RunningEmulator, contacts: list[str], lead: str
) -> None:
    for loser in (contacts[0], lead):
        with pytest.raises(EmulatorError, match="cannot be merged"):
            emulator.merge(contacts[0], [loser])


def test_conversion_into_a_new_contact_carries_the_opt_out(
    emulator: RunningEmulator, lead: str
) -> None:
    emulator.edit(lead, HasOptedOutOfEmail=True)
    contact = emulator.record(emulator.convert_lead(lead))
    converted = emulator.record(lead)
    assert (converted["IsConverted"], converted["ConvertedContactId"]) == (True, contact["Id"])
    assert len(converted["ConvertedDate"]) == len("2026-01-01")
    assert contact[OPT_OUT] is True
    assert (contact["Email"], contact["LastName"]) == (converted["Email"], converted["LastName"])


def test_conversion_into_an_existing_contact_loses_the_opt_out(
    emulator: RunningEmulator, lead: str, contacts: list[str]
) -> None:
    emulator.edit(lead, HasOptedOutOfEmail=True, Title="From the lead")
    emulator.edit(contacts[0], HasOptedOutOfEmail=False, Title=None, Email="kept@example.com")
    assert emulator.convert_lead(lead, contacts[0]) == contacts[0]
    contact = emulator.record(contacts[0])
    assert contact[OPT_OUT] is False
    assert (contact["Title"], contact["Email"]) == ("From the lead", "kept@example.com")


@pytest.mark.parametrize("unknown", ["003000000000001AAA", "a00000000000001AAA", "nonsense"])
def test_orders_about_unknown_records_are_refused(emulator: RunningEmulator, unknown: str) -> None:
    with pytest.raises(EmulatorError, match=r"INVALID_CROSS_REFERENCE_KEY|MALFORMED_ID"):
        emulator.delete(unknown)


def test_an_unknown_field_or_user_is_refused(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    with pytest.raises(EmulatorError, match="INVALID_FIELD"):
        emulator.edit(contacts[0], NoSuchField=1)
    with pytest.raises(EmulatorError, match="user must be one of"):
        emulator.edit(contacts[0], user="robot", Title="x")


def test_reset_brings_back_records_fields_access_and_counts(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    before = emulator.records("Contact")
    emulator.edit(contacts[0], HasOptedOutOfEmail=not emulator.record(contacts[0])[OPT_OUT])
    emulator.delete(contacts[1])
    emulator.install_checkbox("Contact", "Sales_Opt_Out__c", "Sales Opt Out")
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    emulator.add_fault(status=500, times=100)
    emulator.reset()
    assert emulator.records("Contact") == before
    api = Api(emulator)
    assert api.query(f"SELECT {OPT_OUT} FROM Contact LIMIT 1").status_code == 200
    assert api.query("SELECT Sales_Opt_Out__c FROM Contact LIMIT 1").status_code == 400


def test_restore_undoes_restrictions_but_keeps_the_records(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    emulator.edit(contacts[0], Title="Kept")
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    emulator.set_limits(daily_api_requests=0)
    emulator.restore()
    assert emulator.record(contacts[0])["Title"] == "Kept"
    assert Api(emulator).query(f"SELECT {OPT_OUT} FROM Contact LIMIT 1").status_code == 200


def is_alive(emulator: RunningEmulator, record_id: str) -> bool:
    return emulator.record(record_id)["IsDeleted"] is False


@pytest.mark.parametrize("sobject", ["Contact", "Lead"])
def test_merges_of_merges_keep_each_master(emulator: RunningEmulator, sobject: str) -> None:
    first, second, third = [each["Id"] for each in emulator.records(sobject)][30:33]
    emulator.merge(second, [first])
    emulator.merge(third, [second])
    masters = [emulator.record(each)["MasterRecordId"] for each in (first, second, third)]
    assert masters == [second, third, None]
    assert [is_alive(emulator, each) for each in (first, second, third)] == [False, False, True]


def test_a_loser_cannot_be_merged_again(emulator: RunningEmulator, contacts: list[str]) -> None:
    first, second, third = contacts[:3]
    emulator.merge(second, [first])
    for winner, loser in ((third, first), (first, third)):
        with pytest.raises(EmulatorError, match="ENTITY_IS_DELETED"):
            emulator.merge(winner, [loser])
    assert emulator.record(first)["MasterRecordId"] == second


def test_a_merge_that_fails_changes_nothing(emulator: RunningEmulator, contacts: list[str]) -> None:
    before = emulator.records("Contact")
    with pytest.raises(EmulatorError, match="REQUIRED_FIELD_MISSING"):
        emulator.merge(contacts[0], [contacts[1]], LastName=None)
    assert emulator.records("Contact") == before


@pytest.mark.parametrize("sobject", ["Contact", "Lead"])
def test_the_values_somebody_picked_survive_a_merge(
    emulator: RunningEmulator, sobject: str
) -> None:
    emulator.track_history(sobject, OPT_OUT)
    winner, loser = [each["Id"] for each in emulator.records(sobject) if not each[OPT_OUT]][:2]
    emulator.edit(loser, HasOptedOutOfEmail=True)
    emulator.merge(winner, [loser], HasOptedOutOfEmail=True)
    assert emulator.record(winner)[OPT_OUT] is True
    told = {
        row["Field"] for row in emulator.records(f"{sobject}History")
        if row[f"{sobject}Id"] == winner
    }  # fmt: skip
    assert told == {OPT_OUT, f"{sobject.lower()}Merged"}


def test_a_merged_record_taken_out_of_the_bin_stands_alone(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    first, second, third = contacts[:3]
    emulator.merge(second, [first])
    emulator.merge(third, [second])
    emulator.undelete(second)
    assert emulator.record(second)["MasterRecordId"] is None
    assert (is_alive(emulator, second), is_alive(emulator, third)) == (True, True)
    assert emulator.record(first)["MasterRecordId"] == second
    assert is_alive(emulator, first) is False


def test_a_record_is_deleted_and_undeleted_once(
    emulator: RunningEmulator, contacts: list[str]
) -> None:
    with pytest.raises(EmulatorError, match="UNDELETE_FAILED"):
        emulator.undelete(contacts[0])
    emulator.delete(contacts[0])
    with pytest.raises(EmulatorError, match="ENTITY_IS_DELETED"):
        emulator.delete(contacts[0])
    emulator.undelete(contacts[0])
    assert is_alive(emulator, contacts[0])


@pytest.mark.parametrize("opted_out", [True, False])
def test_conversion_never_changes_the_checkbox_of_an_existing_contact(
    emulator: RunningEmulator, lead: str, contacts: list[str], opted_out: bool
) -> None:
    emulator.edit(lead, HasOptedOutOfEmail=not opted_out)
    emulator.edit(contacts[0], HasOptedOutOfEmail=opted_out)
    emulator.convert_lead(lead, contacts[0])
    assert emulator.record(contacts[0])[OPT_OUT] is opted_out
    assert emulator.record(lead)[OPT_OUT] is not opted_out


def test_a_lead_is_converted_once_and_into_a_living_contact(
    emulator: RunningEmulator, lead: str, contacts: list[str]
) -> None:
    emulator.delete(contacts[0])
    for contact, code in ((contacts[0], "ENTITY_IS_DELETED"), (lead, "MALFORMED_ID")):
        with pytest.raises(EmulatorError, match=code):
            emulator.convert_lead(lead, contact)
    assert emulator.record(lead)["IsConverted"] is False
    emulator.convert_lead(lead)
    with pytest.raises(EmulatorError, match="CANNOT_UPDATE_CONVERTED_LEAD"):
        emulator.convert_lead(lead)
