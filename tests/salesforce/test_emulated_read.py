"""Small reads against the emulator: records, history and the user, over the real HTTP stack."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from upath import UPath

from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import FieldNotVisibleError
from local.salesforce_emulator.testing import RunningEmulator
from tests.salesforce.scripted import ListJournal

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
FIELD, CUSTOM = "HasOptedOutOfEmail", "Sales_Opt_Out__c"


def living(emulator: RunningEmulator, obj: SalesforceObject = CONTACT) -> list[str]:
    return [
        each["Id"]
        for each in emulator.records(obj.value)
        if not each["IsDeleted"] and not each.get("IsConverted")
    ]


def user_of(emulator: RunningEmulator) -> str:
    return str(emulator.control("GET", "health")["integration_user_id"])


@pytest.fixture
def both_fields(emulator: RunningEmulator) -> RunningEmulator:
    emulator.install_checkbox("Contact", CUSTOM, "Sales opt-out")
    emulator.install_checkbox("Lead", CUSTOM, "Sales opt-out")
    return emulator


@pytest.mark.parametrize("obj", [CONTACT, LEAD])
def test_a_read_tells_exactly_what_an_extract_tells(
    both_fields: RunningEmulator,
    client: SalesforceClient,
    journal: ListJournal,
    tmp_path: Path,
    obj: SalesforceObject,
) -> None:
    kept, deleted, winner, loser, *_ = living(both_fields, obj)
    both_fields.edit(kept, **{CUSTOM: True, FIELD: False})
    both_fields.delete(deleted)
    both_fields.merge(winner, [loser])
    if obj is LEAD:
        both_fields.convert_lead(winner)
    ids = [each["Id"] for each in both_fields.records(obj.value)]
    destination = UPath(tmp_path / "records.parquet")

    client.extract_records(obj, [FIELD, CUSTOM], destination, journal, person_accounts=False)
    found = client.read_records(obj, [FIELD, CUSTOM], ids, person_accounts=False)

    extracted = pq.read_table(str(destination))
    assert found.columns.tolist() == extracted.column_names
    by_id = {row["record_id"]: row for row in extracted.to_pylist()}
    assert {row["record_id"]: row for row in found.to_dict("records")}.keys() == by_id.keys()
    flags = found.set_index("record_id")[[FIELD, CUSTOM, "is_deleted", "is_converted"]]
    for record_id, row in flags.to_dict("index").items():
        assert row == {name: by_id[record_id][name] for name in row}
    assert by_id[kept][CUSTOM]


def test_a_record_that_does_not_exist_is_absent_and_a_deleted_one_is_not(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    deleted, known, *_ = living(emulator)
    unknown = known[:10] + "ZZZZZ"
    emulator.delete(deleted)

    found = client.read_records(CONTACT, [FIELD], [unknown, known, deleted], person_accounts=False)

    assert set(found["record_id"]) == {known, deleted}


def test_a_hidden_field_is_told_and_not_read_as_false(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    emulator.set_field_access("Contact", FIELD, readable=False, updateable=False)

    with pytest.raises(FieldNotVisibleError):
        client.read_records(CONTACT, [FIELD], living(emulator)[:1], person_accounts=False)


def test_a_history_begins_when_a_field_is_tracked(
    both_fields: RunningEmulator, client: SalesforceClient
) -> None:
    one, other, *_ = living(both_fields)
    both_fields.edit(one, **{FIELD: False, CUSTOM: False})
    both_fields.edit(other, **{CUSTOM: True})
    both_fields.track_history("Contact", FIELD)
    both_fields.edit(one, **{FIELD: True})
    both_fields.edit(one, **{CUSTOM: True})

    found = client.read_history(CONTACT, [FIELD, CUSTOM], [one, other], person_accounts=False)

    (row,) = found.to_dict("records")
    record = both_fields.record(one)
    assert (row["record_id"], row["field"], row["is_opted_out"]) == (one, FIELD, True)
    assert row["by"] == record["LastModifiedById"]
    assert abs((row["at"] - datetime.now(UTC)).total_seconds()) < 120


def test_the_history_tells_our_own_writes_from_others(
    emulator: RunningEmulator, client: SalesforceClient, journal: ListJournal
) -> None:
    ours, theirs, *_ = living(emulator, LEAD)
    for each in (ours, theirs):
        emulator.edit(each, **{FIELD: False})
    emulator.track_history("Lead", FIELD)
    emulator.edit(theirs, **{FIELD: True})
    list(client.write_flags(LEAD, FIELD, [ours], journal))

    found = client.read_history(LEAD, [FIELD], [ours, theirs], person_accounts=False)

    by = found.set_index("record_id")["by"]
    assert by[ours] == client.user_id()
    assert by[theirs] != client.user_id()
    assert found["is_opted_out"].all()


def test_an_untracked_history_is_empty(emulator: RunningEmulator, client: SalesforceClient) -> None:
    one, *_ = living(emulator)
    emulator.edit(one, **{FIELD: True})

    assert client.read_history(CONTACT, [FIELD], [one], person_accounts=False).empty


def test_the_user_is_the_one_that_salesforce_names_as_the_last_modifier(
    emulator: RunningEmulator, client: SalesforceClient, journal: ListJournal
) -> None:
    one, *_ = living(emulator)
    list(client.write_flags(CONTACT, FIELD, [one], journal))

    assert client.user_id() == user_of(emulator) == emulator.record(one)["LastModifiedById"]


def test_the_user_is_known_also_after_the_session_ended(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    client.organization_id()
    emulator.revoke_sessions()

    assert client.user_id() == user_of(emulator)
