"""The active assignment rule: who owns a Lead after it was saved."""

import time

import pytest

from local.salesforce_emulator.testing import (
    Api,
    EmulatorError,
    RunningEmulator,
)

OPT_OUT = "HasOptedOutOfEmail"


@pytest.fixture
def owner(emulator: RunningEmulator) -> str:
    """A user who owns nothing yet."""
    return str(emulator.control("GET", "health")["integration_user_id"])


def first(emulator: RunningEmulator, sobject: str) -> str:
    return str(next(each["Id"] for each in emulator.records(sobject) if not each["IsDeleted"]))


def owner_of(emulator: RunningEmulator, record_id: str) -> object:
    return emulator.record(record_id)["OwnerId"]


def patch_one(api: Api, sobject: str, record_id: str, headers: dict[str, str]) -> int:
    path = f"sobjects/{sobject}/{record_id}"
    return api.call("PATCH", path, json={OPT_OUT: True}, headers=headers).status_code


def patch_many(api: Api, sobject: str, record_id: str, headers: dict[str, str]) -> int:
    record = {"attributes": {"type": sobject}, "id": record_id, OPT_OUT: True}
    document = {"records": [record]}
    return api.call("PATCH", "composite/sobjects", json=document, headers=headers).status_code


BOTH = pytest.mark.parametrize("patch", [patch_one, patch_many])


@BOTH
@pytest.mark.parametrize("headers", [{}, {"Sforce-Auto-Assign": "true"}])
def test_an_active_rule_moves_a_lead_saved_over_rest(
    emulator: RunningEmulator, api: Api, owner: str, patch, headers: dict[str, str]
) -> None:
    lead = first(emulator, "Lead")
    emulator.set_assignment_rule(owner)
    assert patch(api, "Lead", lead, headers) in (200, 204)
    after = emulator.record(lead)
    assert (after["OwnerId"], after[OPT_OUT]) == (owner, True)


@BOTH
@pytest.mark.parametrize("value", ["FALSE", "false"])
def test_the_header_keeps_the_rule_away(
    emulator: RunningEmulator, api: Api, owner: str, patch, value: str
) -> None:
    lead = first(emulator, "Lead")
    before = owner_of(emulator, lead)
    emulator.set_assignment_rule(owner)
    assert patch(api, "Lead", lead, {"Sforce-Auto-Assign": value}) in (200, 204)
    assert owner_of(emulator, lead) == before != owner


@BOTH
def test_contacts_have_no_assignment_rules(
    emulator: RunningEmulator, api: Api, owner: str, patch
) -> None:
    contact = first(emulator, "Contact")
    before = owner_of(emulator, contact)
    emulator.set_assignment_rule(owner)
    patch(api, "Contact", contact, {})
    assert owner_of(emulator, contact) == before != owner


def test_the_rule_overrides_an_owner_that_comes_with_the_save(
    emulator: RunningEmulator, api: Api, owner: str
) -> None:
    lead = first(emulator, "Lead")
    emulator.set_assignment_rule(owner)
    other = emulator.control("GET", "health")["human_user_id"]
    assert api.call("PATCH", f"sobjects/Lead/{lead}", json={"OwnerId": other}).status_code == 204
    assert owner_of(emulator, lead) == owner


def test_a_person_and_a_bulk_job_leave_the_owner_alone(
    emulator: RunningEmulator, api: Api, owner: str
) -> None:
    lead = first(emulator, "Lead")
    before = owner_of(emulator, lead)
    emulator.set_assignment_rule(owner)
    emulator.edit(lead, Title="Buyer")
    job = {"operation": "update", "object": "Lead"}
    job_id = api.call("POST", "jobs/ingest", json=job).json()["id"]
    api.call("PUT", f"jobs/ingest/{job_id}/batches", data=f"Id,Title\n{lead},CEO\n")
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    deadline = time.monotonic() + 10
    while emulator.record(lead)["Title"] != "CEO":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert owner_of(emulator, lead) == before


def test_without_a_rule_nothing_moves_and_restore_takes_the_rule_away(
    emulator: RunningEmulator, api: Api, owner: str
) -> None:
    lead = first(emulator, "Lead")
    before = owner_of(emulator, lead)
    patch_one(api, "Lead", lead, {})
    emulator.set_assignment_rule(owner)
    emulator.restore()
    patch_one(api, "Lead", lead, {})
    emulator.set_assignment_rule(owner)
    emulator.set_assignment_rule(None)
    patch_one(api, "Lead", lead, {})
    assert owner_of(emulator, lead) == before


@BOTH
def test_naming_a_rule_by_its_id_is_not_emulated(api: Api, emulator, patch) -> None:
    headers = {"Sforce-Auto-Assign": "01Q000000000001AAA"}
    assert patch(api, "Lead", first(emulator, "Lead"), headers) == 501


def test_a_bulk_job_with_an_assignment_rule_is_not_emulated(api: Api) -> None:
    job = {"operation": "update", "object": "Lead", "assignmentRuleId": "01Q000000000001AAA"}
    assert api.call("POST", "jobs/ingest", json=job).status_code == 501


@pytest.mark.parametrize("document", [{"active": True}, {"active": True, "owner": "me"}, {}])
def test_a_rule_without_an_owner_is_refused(
    emulator: RunningEmulator, document: dict[str, object]
) -> None:
    with pytest.raises(EmulatorError, match="400"):
        emulator.control("POST", "assignment-rule", document)
