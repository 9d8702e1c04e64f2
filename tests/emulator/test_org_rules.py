"""Validation and duplicate rules, automation and locks: what stands in the way of a save."""

import time
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, EmulatorError, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
INSIST = {"Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false"}


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    ids = [each["Id"] for each in emulator.records("Contact")][:4]
    for number, each in enumerate(ids):
        emulator.edit(each, HasOptedOutOfEmail=False, Email=f"p{number}@example.net")
    return ids


def patch(api: Api, record_id: str, **values: object) -> Any:
    options = values.pop("_options", {})
    assert isinstance(options, dict)
    return api.call("PATCH", f"sobjects/Contact/{record_id}", json=values, **options)


def patch_many(api: Api, ids: list[str], **values: object) -> list[dict[str, Any]]:
    records = [{"attributes": {"type": "Contact"}, "Id": each, **values} for each in ids]
    results: list[dict[str, Any]] = api.call(
        "PATCH", "composite/sobjects", json={"records": records}
    ).json()
    return results


def update_in_bulk(api: Api, ids: list[str], **job: object) -> tuple[dict[str, Any], str]:
    document = {"operation": "update", "object": "Contact", **job}
    job_id = api.call("POST", "jobs/ingest", json=document).json()["id"]
    rows = "".join(f"{each},true\n" for each in ids)
    api.call("PUT", f"jobs/ingest/{job_id}/batches", data=f"Id,{OPT_OUT}\n{rows}")
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    while (done := api.get(f"jobs/ingest/{job_id}").json())["state"] != "JobComplete":
        time.sleep(0.02)
    return done, api.get(f"jobs/ingest/{job_id}/failedResults").text


def test_a_validation_rule_refuses_what_meets_its_condition(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.add_rule(
        kind="validation", object="Contact", name="No_Opt_Outs", field=OPT_OUT,
        when=f"{OPT_OUT} = true AND Email = 'p1@example.net'", message="Not this one",
    )  # fmt: skip
    error = {
        "message": "Not this one",
        "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "fields": [OPT_OUT],
    }
    refused = patch(api, contacts[1], **{OPT_OUT: True})
    assert (refused.status_code, refused.json()) == (400, [error])
    assert emulator.record(contacts[1])[OPT_OUT] is False
    results = patch_many(api, contacts, **{OPT_OUT: True})
    assert [each["success"] for each in results] == [True, False, True, True]
    job, failed = update_in_bulk(api, contacts)
    assert job["numberRecordsFailed"] == 1
    assert "FIELD_CUSTOM_VALIDATION_EXCEPTION:Not this one:HasOptedOutOfEmail --" in failed
    emulator.clear_rules()
    assert patch(api, contacts[1], **{OPT_OUT: True}).status_code == 204


def test_a_duplicate_rule_refuses_updates_too_with_the_captured_body(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    """The keys of the body: bulk2_captures/failures.json, rest_duplicates_detected."""
    emulator.edit(contacts[1], Email="p0@example.net")
    emulator.add_rule(
        kind="duplicate", object="Contact", name="Same_Email", match=["Email"],
        message="You're creating a duplicate record.",
    )  # fmt: skip
    refused = patch(api, contacts[0], **{OPT_OUT: True})
    (body,) = refused.json()
    assert refused.status_code == 400
    assert list(body) == ["duplicateResult", "message", "errorCode"]
    assert body["errorCode"] == "DUPLICATES_DETECTED"
    result = body["duplicateResult"]
    assert list(result) == [
        "allowSave",
        "duplicateRule",
        "duplicateRuleEntityType",
        "errorMessage",
        "matchResults",
    ]
    (match,) = result["matchResults"]
    assert [each["record"]["Id"] for each in match["matchRecords"]] == [contacts[1]]
    assert patch(api, contacts[0], _options={"headers": INSIST}, Title="x").status_code == 400
    assert patch(api, contacts[2], **{OPT_OUT: True}).status_code == 204
    new = {"LastName": "Copy", "Email": "P2@example.net"}
    assert api.call("POST", "sobjects/Contact", json=new).status_code == 400


def test_a_client_may_insist_where_a_duplicate_rule_only_warns(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.edit(contacts[1], Email="p0@example.net")
    emulator.add_rule(
        kind="duplicate", object="Contact", name="Same_Email", match=["Email"], allows=True
    )
    assert patch(api, contacts[0], **{OPT_OUT: True}).status_code == 400
    insisted = patch(api, contacts[0], _options={"headers": INSIST}, **{OPT_OUT: True})
    assert insisted.status_code == 204
    job, failed = update_in_bulk(api, contacts[:1])  # a bulk job cannot insist
    assert "DUPLICATES_DETECTED" in failed
    assert job["numberRecordsFailed"] == 1


@pytest.mark.parametrize("user", [None, "automated"])
def test_automation_flips_a_field_back_and_the_save_succeeds(
    emulator: RunningEmulator, api: Api, contacts: list[str], user: str | None
) -> None:
    emulator.track_history("Contact", OPT_OUT)
    emulator.add_rule(
        kind="automation", object="Contact", name="Flip", when=f"{OPT_OUT} = true",
        set={OPT_OUT: False}, user=user,
    )  # fmt: skip
    assert patch(api, contacts[0], **{OPT_OUT: True}).status_code == 204
    results = patch_many(api, contacts[1:3], **{OPT_OUT: True})
    assert all(each["success"] for each in results)
    update_in_bulk(api, contacts[3:])
    for each in contacts:
        record = emulator.record(each)
        assert record[OPT_OUT] is False
        soql = f"SELECT Username FROM User WHERE Id = '{record['LastModifiedById']}'"
        (saver,) = api.query(soql).json()["records"]
        assert saver["Username"].startswith("autoproc" if user else "opt-out-sync")
    history = emulator.records("ContactHistory")
    assert [each["NewValue"] for each in history if each["ContactId"] == contacts[0]] == [
        True,
        False,
    ]


def test_a_held_record_cannot_be_saved_until_it_is_let_go(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    """The message is captured from real orgs (ForceCLI and others)."""
    emulator.lock_records(contacts[0])
    refused = patch(api, contacts[0], **{OPT_OUT: True})
    assert refused.status_code == 400
    assert refused.json() == [
        {
            "message": "unable to obtain exclusive access to this record or 1 records: "
            + contacts[0],
            "errorCode": "UNABLE_TO_LOCK_ROW",
            "fields": [],
        }
    ]
    assert [each["success"] for each in patch_many(api, contacts[:2], Title="x")] == [False, True]
    emulator.unlock_records()
    assert patch(api, contacts[0], **{OPT_OUT: True}).status_code == 204


def test_a_held_account_holds_its_contacts(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    account = emulator.record(contacts[0])["AccountId"]
    emulator.lock_records(account)
    error = patch(api, contacts[0], **{OPT_OUT: True}).json()[0]
    assert error["errorCode"] == "UNABLE_TO_LOCK_ROW"
    assert account in error["message"]


def test_a_save_that_changes_nothing_may_leave_the_stamps(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.set_clock(-60)
    emulator.edit(contacts[0], Title="same")
    emulator.set_clock(0)
    before = emulator.record(contacts[0])["SystemModstamp"]
    emulator.set_options(unchanged_saves_stamp=False)
    patch(api, contacts[0], Title="same")
    assert emulator.record(contacts[0])["SystemModstamp"] == before
    patch(api, contacts[0], Title="other")
    assert emulator.record(contacts[0])["SystemModstamp"] > before


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "wish", "object": "Contact", "name": "X"},
        {"kind": "validation", "object": "Contact", "name": "X", "when": "Nothing = true"},
        {"kind": "duplicate", "object": "Contact", "name": "X", "match": ["Nothing"]},
        {"kind": "automation", "object": "Contact", "name": "X", "set": {OPT_OUT: "perhaps"}},
        {"kind": "automation", "object": "Contact", "name": "X", "set": {}, "user": "nobody"},
    ],
)
def test_a_rule_nobody_understands_is_refused(
    emulator: RunningEmulator, rule: dict[str, object]
) -> None:
    with pytest.raises(EmulatorError, match="400"):
        emulator.add_rule(**rule)
