"""Writes against the emulator: what is reported is what the org holds."""

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from include.domain.values import SalesforceObject
from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.session import SalesforceSession
from local.salesforce_emulator.testing import RunningEmulator
from tests.salesforce.scripted import ListJournal

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
FIELD = "HasOptedOutOfEmail"
COLLECTIONS, BULK = 100_000, 0
BOTH_WAYS = pytest.mark.parametrize("threshold", [COLLECTIONS, BULK], ids=["collections", "bulk"])


def living(emulator: RunningEmulator, obj: SalesforceObject = CONTACT) -> list[str]:
    return [
        each["Id"]
        for each in emulator.records(obj.value)
        if not each["IsDeleted"] and not each.get("IsConverted")
    ]


def reset_flags(emulator: RunningEmulator, ids: Sequence[str], field: str = FIELD) -> None:
    edits = [{"id": each, "fields": {field: False}} for each in ids]
    emulator.control("POST", "edit", {"edits": edits, "user": "human"})
    emulator.reset_requests()


def opted_out(emulator: RunningEmulator, ids: Sequence[str], field: str = FIELD) -> set[str]:
    wanted = set(ids)
    return {
        each["Id"] for each in emulator.records("Contact") if each["Id"] in wanted and each[field]
    }


def write(
    client: SalesforceClient,
    ids: Sequence[str],
    threshold: int,
    *,
    journal: ListJournal | None = None,
    field: str = FIELD,
    obj: SalesforceObject = CONTACT,
) -> pd.DataFrame:
    """Write and return all outcomes, one row per record."""
    frames = client.write_flags(obj, field, ids, journal or ListJournal(), bulk_threshold=threshold)
    return pd.concat(list(frames)).set_index("record_id")


@BOTH_WAYS
def test_every_record_is_written_and_reported(
    emulator: RunningEmulator, client: SalesforceClient, threshold: int
) -> None:
    ids = living(emulator)[:450]
    reset_flags(emulator, ids)

    found = write(client, ids, threshold)

    assert found["succeeded"].all()
    assert found.index.tolist() == ids
    assert opted_out(emulator, ids) == set(ids)
    frame = client.read_flags(CONTACT, [FIELD], ids)
    assert frame[FIELD].all()


@BOTH_WAYS
def test_a_written_lead_keeps_its_owner_although_an_assignment_rule_is_active(
    emulator: RunningEmulator, client: SalesforceClient, threshold: int
) -> None:
    ids = living(emulator, LEAD)[:3]
    reset_flags(emulator, ids)
    before = [emulator.record(each)["OwnerId"] for each in ids]
    emulator.set_assignment_rule(emulator.control("GET", "health")["integration_user_id"])

    assert write(client, ids, threshold, obj=LEAD)["succeeded"].all()

    after = [emulator.record(each) for each in ids]
    assert [each["OwnerId"] for each in after] == before
    assert all(each[FIELD] for each in after)


def test_ids_of_15_characters_are_written_and_reported_in_18(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    (one,) = living(emulator)[:1]
    reset_flags(emulator, [one])

    assert write(client, [one[:15]], COLLECTIONS).index.tolist() == [one]
    assert opted_out(emulator, [one]) == {one}


def test_a_bulk_job_costs_six_requests_and_its_polls(
    emulator: RunningEmulator, client: SalesforceClient, journal: ListJournal
) -> None:
    ids = living(emulator)[:50]
    client.organization_id()
    reset_flags(emulator, ids)

    write(client, ids, BULK, journal=journal)

    counts = emulator.request_counts()
    polls = sum(n for key, n in counts.items() if key.endswith("ingest/{id}") and "GET" in key)
    assert polls >= 1
    assert sum(counts.values()) - polls == 6, counts
    assert journal.steps == ["planned", "created", "finished"]
    assert journal.entries[-1][2:] == ("JobComplete", 50, 0)


@BOTH_WAYS
def test_each_rejected_row_has_its_class_code_and_fix_and_the_others_pass(
    emulator: RunningEmulator, client: SalesforceClient, threshold: int
) -> None:
    ids = living(emulator)[:6]
    reset_flags(emulator, ids)
    codes = {
        ids[0]: ("UNABLE_TO_LOCK_ROW", "retry"),
        ids[1]: ("INSUFFICIENT_ACCESS_OR_READONLY", "permission"),
        ids[2]: ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "validation"),
        ids[3]: ("SOMETHING_NEW", "validation"),
    }
    for record_id, (code, _) in codes.items():
        emulator.add_fault(
            action="row_error", code=code, ids=[record_id], message="ann@example.com: no"
        )

    found = write(client, ids, threshold)

    failed = found[~found["succeeded"]]
    assert {each: (row["code"], row["failure_class"]) for each, row in failed.iterrows()} == codes
    assert failed["fix"].str.len().gt(20).all()
    assert not found.to_csv().count("ann@example.com")
    assert opted_out(emulator, ids) == set(ids[4:])


@BOTH_WAYS
def test_records_that_are_gone_are_reported_as_gone(
    emulator: RunningEmulator, client: SalesforceClient, threshold: int
) -> None:
    contact = living(emulator)[-1]
    lead = living(emulator, LEAD)[-1]
    emulator.delete(contact)
    emulator.convert_lead(lead)

    deleted = write(client, [contact], threshold).iloc[0]
    converted = write(client, [lead], threshold, obj=LEAD).iloc[0]

    assert (deleted["failure_class"], deleted["code"]) == ("gone", "ENTITY_IS_DELETED")
    assert (converted["failure_class"], converted["code"]) == (
        "gone",
        "CANNOT_UPDATE_CONVERTED_LEAD",
    )


@BOTH_WAYS
@pytest.mark.parametrize("readable", [True, False], ids=["read-only", "hidden"])
def test_a_field_we_may_not_write_fails_the_rows_as_permission(
    emulator: RunningEmulator, client: SalesforceClient, threshold: int, readable: bool
) -> None:
    ids = living(emulator)[:3]
    reset_flags(emulator, ids)
    emulator.set_field_access("Contact", FIELD, readable=readable, updateable=False)

    found = write(client, ids, threshold)

    assert set(found["failure_class"]) == {"permission"}
    assert opted_out(emulator, ids) == set()


@BOTH_WAYS
@pytest.mark.parametrize(
    "fault",
    [
        {"action": "reset"},
        {"action": "reset_after"},
        {"action": "truncate"},
        {"action": "expire_session"},
        {"status": 503, "times": 2},
    ],
    ids=lambda fault: str(fault.get("action", "503")),
)
def test_opt_outs_arrive_and_are_reported_whatever_request_is_hit(
    emulator: RunningEmulator,
    session: SalesforceSession,
    threshold: int,
    fault: dict[str, Any],
) -> None:
    """The fault hits one request after the other: each step of a write in turn."""
    ids = living(emulator)[:5]
    client = SalesforceClient(session, polling=Polling(first=0.02, longest=0.05))
    for step in range(8 if threshold == BULK else 2):
        reset_flags(emulator, ids)
        emulator.add_fault(path_contains="/services/data/", after=step, **fault)

        found = write(client, ids, threshold)

        assert found["succeeded"].all(), f"step {step}"
        assert opted_out(emulator, ids) == set(ids), f"step {step}"
        emulator.clear_faults()


def test_a_job_that_does_not_start_is_aborted_and_all_its_rows_may_be_retried(
    emulator: RunningEmulator, session: SalesforceSession, journal: ListJournal
) -> None:
    ids = living(emulator)[:4]
    reset_flags(emulator, ids)
    emulator.hold_jobs(True)
    client = SalesforceClient(session, polling=Polling(first=0.02, longest=0.05, deadline=0.3))

    found = write(client, ids, BULK, journal=journal)

    assert set(found["code"]) == {"UNPROCESSED"}
    assert set(found["failure_class"]) == {"retry"}
    assert journal.entries[-1] == ("finished", 1, "Aborted", 0, 0)
    emulator.hold_jobs(False)
    assert opted_out(emulator, ids) == set()


def test_a_custom_field_is_written_like_the_standard_one(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    field = "Sales_Opt_Out__c"
    emulator.install_checkbox("Contact", field, "Sales opt-out")
    ids = living(emulator)[:3]
    reset_flags(emulator, ids)

    assert write(client, ids, COLLECTIONS, field=field)["succeeded"].all()
    assert opted_out(emulator, ids, field) == set(ids)
    assert opted_out(emulator, ids) == set()
    assert client.read_flags(CONTACT, [field], ids)[field].all()


def test_a_record_that_is_not_there_reads_as_null(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    known, *_ = living(emulator)
    unknown = known[:10] + "ZZZZZ"

    flags = client.read_flags(CONTACT, [FIELD], [unknown, known])[FIELD]

    assert flags.isna().tolist() == [True, False]


def test_no_log_line_holds_an_address_a_token_or_a_payload(
    emulator: RunningEmulator, client: SalesforceClient, caplog: pytest.LogCaptureFixture
) -> None:
    ids = living(emulator)[:3]
    emulator.add_fault(method="POST", path_contains="jobs/ingest", status=503)
    emulator.add_fault(action="row_error", message="ann@example.com", ids=ids[:1])
    with caplog.at_level(logging.DEBUG, logger="include"):
        write(client, ids, BULK)

    text = caplog.text
    assert "ended JobComplete: 3 rows, 1 failed" in text
    assert "@" not in text
    assert "Bearer" not in text
    assert ids[1] not in text
