"""Extracts against the emulator: what arrives is exactly what the org holds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from upath import UPath

from include.domain.values import SalesforceObject
from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import FieldNotVisibleError, IncompleteJobError
from include.salesforce.session import SalesforceSession
from local.salesforce_emulator.testing import RunningEmulator
from tests.salesforce.scripted import ListJournal

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
FIELD = "HasOptedOutOfEmail"


@pytest.fixture
def destination(tmp_path: Path) -> UPath:
    return UPath(tmp_path / "night" / "records.parquet")


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)


def expected(
    obj: SalesforceObject, record: dict[str, Any], fields: Sequence[str]
) -> dict[str, Any]:
    return {
        "record_id": record["Id"],
        "object": obj.value,
        "is_deleted": record["IsDeleted"],
        "master_record_id": record["MasterRecordId"],
        "is_converted": record.get("IsConverted", False),
        "converted_contact_id": record.get("ConvertedContactId"),
        "last_modified_at": instant(record["LastModifiedDate"]),
        "last_modified_by": record["LastModifiedById"],
        "is_person_account": record.get("IsPersonAccount", False),
        "account_id": record["AccountId"] if record.get("IsPersonAccount") else None,
    } | {each: record[each] for each in fields}


def extracted(destination: UPath) -> list[dict[str, Any]]:
    rows = pq.read_table(str(destination)).to_pylist()
    return sorted(rows, key=lambda row: str(row["record_id"]))


def held(
    emulator: RunningEmulator, obj: SalesforceObject, fields: Sequence[str] = (FIELD,)
) -> list[Any]:
    rows = [expected(obj, record, fields) for record in emulator.records(obj.value)]
    return sorted(rows, key=lambda row: str(row["record_id"]))


@pytest.mark.parametrize("obj", [CONTACT, LEAD])
def test_an_extract_holds_every_record_deleted_merged_and_converted_ones_too(
    emulator: RunningEmulator,
    client: SalesforceClient,
    journal: ListJournal,
    destination: UPath,
    obj: SalesforceObject,
) -> None:
    contacts = [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]]
    leads = [
        each["Id"]
        for each in emulator.records("Lead")
        if not each["IsDeleted"] and not each["IsConverted"]
    ]
    emulator.delete(contacts[0], leads[0])
    emulator.merge(contacts[1], [contacts[2]])
    emulator.merge(leads[1], [leads[2]])
    emulator.convert_lead(leads[3], contacts[3])
    emulator.edit(contacts[4], **{FIELD: True})

    count = client.extract_records(obj, [FIELD], destination, journal, person_accounts=False)

    assert extracted(destination) == held(emulator, obj)
    assert count == len(emulator.records(obj.value))
    assert journal.steps == ["planned", "created", "finished"]


def test_many_small_pages_make_the_same_file(
    emulator: RunningEmulator, session: SalesforceSession, journal: ListJournal, destination: UPath
) -> None:
    client = SalesforceClient(session, polling=Polling(first=0.02), page_rows=77)

    client.extract_records(CONTACT, [FIELD], destination, journal, person_accounts=False)

    assert extracted(destination) == held(emulator, CONTACT)
    counts = emulator.request_counts()
    assert sum(n for key, n in counts.items() if key.endswith("/results")) > 5


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "truncate"},
        {"action": "reset", "times": 2},
        {"action": "expire_session"},
        {"status": 503, "times": 2},
        {"status": 406, "body": "", "times": 2},
    ],
)
def test_a_fault_while_a_page_is_read_leaves_no_trace(
    emulator: RunningEmulator,
    session: SalesforceSession,
    journal: ListJournal,
    destination: UPath,
    fault: dict[str, Any],
) -> None:
    client = SalesforceClient(session, polling=Polling(first=0.02), page_rows=200)
    emulator.add_fault(method="GET", path_contains="/results", after=1, **fault)

    client.extract_records(CONTACT, [FIELD], destination, journal, person_accounts=False)

    assert extracted(destination) == held(emulator, CONTACT)


def test_a_session_that_ends_during_the_poll_does_not_lose_the_job(
    emulator: RunningEmulator, session: SalesforceSession, journal: ListJournal, destination: UPath
) -> None:
    emulator.hold_jobs(True)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            emulator.revoke_sessions()
        if len(pauses) == 4:
            emulator.hold_jobs(False)

    client = SalesforceClient(session, polling=Polling(first=0.02, sleep=sleep))

    client.extract_records(CONTACT, [FIELD], destination, journal, person_accounts=False)

    assert extracted(destination) == held(emulator, CONTACT)
    counts = emulator.request_counts()
    assert counts["POST /services/data/v{version}/jobs/query"] == 1
    assert journal.steps == ["planned", "created", "finished"]


def test_a_job_that_never_ends_is_aborted_at_our_deadline(
    emulator: RunningEmulator, session: SalesforceSession, journal: ListJournal, destination: UPath
) -> None:
    emulator.hold_jobs(True)
    client = SalesforceClient(session, polling=Polling(first=0.02, longest=0.05, deadline=0.3))

    with pytest.raises(IncompleteJobError):
        client.extract_records(CONTACT, [FIELD], destination, journal, person_accounts=False)

    assert journal.entries[-1] == ("finished", 1, "Aborted", 0, 0)
    assert not destination.exists()


def test_a_hidden_field_is_an_error_and_never_reads_as_nobody_opted_out(
    emulator: RunningEmulator, client: SalesforceClient, journal: ListJournal, destination: UPath
) -> None:
    emulator.set_field_access("Contact", FIELD, readable=False, updateable=False)

    with pytest.raises(FieldNotVisibleError):
        client.extract_records(CONTACT, [FIELD], destination, journal, person_accounts=False)

    assert not destination.exists()


def test_without_a_readable_field_there_is_no_column_for_it(
    emulator: RunningEmulator, client: SalesforceClient, journal: ListJournal, destination: UPath
) -> None:
    emulator.set_field_access("Contact", FIELD, readable=False, updateable=False)

    client.extract_records(CONTACT, [], destination, journal, person_accounts=False)

    assert extracted(destination) == held(emulator, CONTACT, [])


def test_an_extract_can_go_to_any_file_system_and_replaces_an_earlier_one(
    client: SalesforceClient, journal: ListJournal
) -> None:
    destination = UPath("memory://salesforce/night/leads.parquet")

    for _ in range(2):
        count = client.extract_records(LEAD, [FIELD], destination, journal, person_accounts=False)

    with destination.open("rb") as file:
        assert pq.read_table(file).num_rows == count
    assert [each.name for each in destination.parent.iterdir()] == ["leads.parquet"]
