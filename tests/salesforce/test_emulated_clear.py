"""Clears against the emulator: an opt-out that somebody makes in between survives."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.domain.values import FailureClass, SalesforceObject
from include.salesforce.clears import ClearOutcome
from include.salesforce.client import SalesforceClient
from local.salesforce_emulator.testing import RunningEmulator

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
FIELD, CUSTOM = "HasOptedOutOfEmail", "Sales_Opt_Out__c"
PATCHED = "PATCH /services/data/v{version}/sobjects/{object}/{id}"


@pytest.fixture
def opted_out(emulator: RunningEmulator) -> str:
    """A Contact with both fields ticked."""
    emulator.install_checkbox("Contact", CUSTOM, "Sales opt-out")
    record_id = next(each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"])
    emulator.edit(record_id, **{FIELD: True, CUSTOM: True})
    emulator.reset_requests()
    return str(record_id)


def read_at(client: SalesforceClient, record_id: str) -> datetime:
    found = client.read_records(CONTACT, [], [record_id], person_accounts=False)
    return found["last_modified_at"].iloc[0].to_pydatetime()  # type: ignore[no-any-return]


def clear(
    client: SalesforceClient,
    record_id: str,
    unmodified_since: datetime,
    fields: Sequence[str] = (FIELD, CUSTOM),
    obj: SalesforceObject = CONTACT,
) -> ClearOutcome:
    return client.clear_record(obj, record_id, fields, unmodified_since=unmodified_since)


def patches(emulator: RunningEmulator) -> int:
    return sum(count for key, count in emulator.request_counts().items() if key.startswith("PATCH"))


def values(emulator: RunningEmulator, record_id: str) -> list[bool]:
    record = emulator.record(record_id)
    return [record[FIELD], record[CUSTOM]]


def test_both_fields_are_cleared_by_one_request(
    emulator: RunningEmulator, client: SalesforceClient, opted_out: str
) -> None:
    outcome = clear(client, opted_out[:15], read_at(client, opted_out))

    assert outcome == ClearOutcome(succeeded=True)
    assert values(emulator, opted_out) == [False, False]
    assert patches(emulator) == 1


def test_a_field_that_is_not_named_stays(
    emulator: RunningEmulator, client: SalesforceClient, opted_out: str
) -> None:
    assert clear(client, opted_out, read_at(client, opted_out), [CUSTOM]).succeeded
    assert values(emulator, opted_out) == [True, False]


@pytest.mark.parametrize("ends_session", [False, True])
def test_an_opt_out_made_after_the_read_survives_also_when_the_session_ends(
    emulator: RunningEmulator, client: SalesforceClient, opted_out: str, ends_session: bool
) -> None:
    seen = read_at(client, opted_out)
    while datetime.now(UTC) < seen + timedelta(seconds=1.1):
        time.sleep(0.05)
    emulator.edit(opted_out, **{FIELD: True})
    if ends_session:
        emulator.revoke_sessions()

    outcome = clear(client, opted_out, seen)

    assert (outcome.failure_class, outcome.code) == (FailureClass.CHANGED, "CHANGED_SINCE_READ")
    assert values(emulator, opted_out) == [True, True]


@pytest.mark.parametrize(
    ("fault", "code", "left"),
    [
        ({"action": "reset_after"}, None, [False, False]),
        ({"action": "truncate"}, None, [False, False]),
        ({"action": "reset"}, "REPLY_LOST", [True, True]),
        ({"status": 503}, "REPLY_LOST", [True, True]),
        ({"action": "expire_session"}, None, [False, False]),
    ],
    ids=["reply lost", "reply cut", "never arrived", "503", "session ended"],
)
def test_what_is_reported_is_what_the_record_shows(
    emulator: RunningEmulator,
    client: SalesforceClient,
    opted_out: str,
    fault: dict[str, Any],
    code: str | None,
    left: list[bool],
) -> None:
    seen = read_at(client, opted_out)
    emulator.add_fault(method="PATCH", path_contains="/sobjects/Contact/", **fault)

    outcome = clear(client, opted_out, seen)

    assert outcome.code == code
    assert outcome.succeeded is (code is None)
    assert values(emulator, opted_out) == left
    assert patches(emulator) == (2 if fault.get("action") == "expire_session" else 1)


@pytest.mark.parametrize("readable", [True, False], ids=["read-only", "hidden"])
def test_a_field_we_may_not_write_is_a_permission(
    emulator: RunningEmulator, client: SalesforceClient, opted_out: str, readable: bool
) -> None:
    seen = read_at(client, opted_out)
    emulator.set_field_access("Contact", FIELD, readable=readable, updateable=False)

    outcome = clear(client, opted_out, seen)

    assert outcome.failure_class is FailureClass.PERMISSION
    assert values(emulator, opted_out) == [True, True], "all fields or none"


def test_a_record_that_is_gone_is_reported_as_gone(
    emulator: RunningEmulator, client: SalesforceClient, opted_out: str
) -> None:
    lead = next(each["Id"] for each in emulator.records("Lead") if not each["IsConverted"])
    emulator.convert_lead(lead)
    emulator.delete(opted_out)
    later = datetime.now(UTC) + timedelta(minutes=1)

    assert clear(client, opted_out, later).code == "ENTITY_IS_DELETED"
    converted = clear(client, lead, later, [FIELD], LEAD)
    assert converted.code == "CANNOT_UPDATE_CONVERTED_LEAD"
    assert converted.failure_class is FailureClass.GONE


def test_a_locked_record_is_for_the_next_run(
    emulator: RunningEmulator, client: SalesforceClient, opted_out: str
) -> None:
    emulator.add_fault(action="row_error", code="UNABLE_TO_LOCK_ROW", ids=[opted_out])

    outcome = clear(client, opted_out, read_at(client, opted_out))

    assert (outcome.code, outcome.failure_class) == ("UNABLE_TO_LOCK_ROW", FailureClass.RETRY)
    assert values(emulator, opted_out) == [True, True]
