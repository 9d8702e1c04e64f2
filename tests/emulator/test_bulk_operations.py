"""Bulk 2.0 jobs that create, upsert and delete; and the short way of plain updates."""

import csv
import io
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"


def run(api: Api, operation: str, text: str, sobject: str = "Contact", **more: object) -> str:
    document = {"operation": operation, "object": sobject, **more}
    created = api.call("POST", "jobs/ingest", json=document)
    assert created.status_code == 200, created.text
    job_id: str = created.json()["id"]
    uploaded = api.call("PUT", f"jobs/ingest/{job_id}/batches", data=text.encode())
    assert uploaded.status_code == 201
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    deadline = time.monotonic() + 20
    while api.get(f"jobs/ingest/{job_id}").json()["state"] in ("UploadComplete", "InProgress"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return job_id


def results(api: Api, job_id: str, name: str) -> list[dict[str, str]]:
    text = api.get(f"jobs/ingest/{job_id}/{name}").text
    return list(csv.DictReader(io.StringIO(text)))


def test_a_job_creates_records(emulator: RunningEmulator, api: Api) -> None:
    text = "LastName,Email\nOne,one@example.net\n,two@example.net\nThree,no address\n"
    job_id = run(api, "insert", text)
    (made,) = results(api, job_id, "successfulResults")
    assert made["sf__Created"] == "true"
    assert emulator.record(made["sf__Id"])["Email"] == "one@example.net"
    missing, invalid = results(api, job_id, "failedResults")
    assert missing["sf__Error"] == (
        "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
    )
    assert (missing["sf__Id"], invalid["sf__Id"]) == ("", "")
    assert invalid["sf__Error"].startswith("INVALID_EMAIL_ADDRESS:")


def test_a_job_upserts_by_an_external_id(emulator: RunningEmulator, api: Api) -> None:
    emulator.install_field(
        "Contact", fullName="Store_Id__c", type="Text", label="Store Id", length=20, externalId=True
    )
    known = emulator.records("Contact")[0]["Id"]
    emulator.edit(known, Store_Id__c="7")
    text = "Store_Id__c,LastName\n7,Changed\n8,Made\n,Nobody\n"
    job_id = run(api, "upsert", text, externalIdFieldName="Store_Id__c")
    assert api.get(f"jobs/ingest/{job_id}").json()["externalIdFieldName"] == "Store_Id__c"
    changed, made = results(api, job_id, "successfulResults")
    assert (changed["sf__Id"], changed["sf__Created"]) == (known, "false")
    assert made["sf__Created"] == "true"
    assert emulator.record(known)["LastName"] == "Changed"
    (refused,) = results(api, job_id, "failedResults")
    assert refused["sf__Error"].startswith("MISSING_ARGUMENT:Store_Id__c not specified")


def test_a_job_upserts_by_id(emulator: RunningEmulator, api: Api) -> None:
    known = emulator.records("Contact")[0]["Id"]
    text = f"Id,LastName\n{known},Changed\n,Made\n"
    job_id = run(api, "upsert", text, externalIdFieldName="Id")
    changed, made = results(api, job_id, "successfulResults")
    assert (changed["sf__Created"], made["sf__Created"]) == ("false", "true")


def test_a_job_upserts_by_no_field_that_is_no_key(api: Api) -> None:
    job_id = run(api, "upsert", "Phone,LastName\n1,X\n", externalIdFieldName="Phone")
    job = api.get(f"jobs/ingest/{job_id}").json()
    assert job["state"] == "Failed"
    assert "does not match an External ID" in job["errorMessage"]


def test_a_job_deletes_records(emulator: RunningEmulator, api: Api) -> None:
    first, second = (each["Id"] for each in emulator.records("Contact")[:2])
    emulator.delete(second)
    job_id = run(api, "delete", f"Id\n{first}\n{second}\n")
    assert [each["sf__Id"] for each in results(api, job_id, "successfulResults")] == [first]
    (failed,) = results(api, job_id, "failedResults")
    assert failed["sf__Error"] == "ENTITY_IS_DELETED:entity is deleted:--"
    assert emulator.record(first)["IsDeleted"] is True


def test_an_insert_takes_no_ids(emulator: RunningEmulator, api: Api) -> None:
    known = emulator.records("Contact")[0]["Id"]
    job_id = run(api, "insert", f"Id,LastName\n{known},X\n")
    (failed,) = results(api, job_id, "failedResults")
    assert "cannot specify Id in an insert call" in failed["sf__Error"]


def test_batches_that_meet_at_an_account_lock_each_other_when_asked_to(
    emulator: RunningEmulator, api: Api
) -> None:
    emulator.set_options(row_contention=True)
    ids = [each["Id"] for each in emulator.records("Contact")]
    text = f"Id,{OPT_OUT}\n" + "".join(f"{each},true\n" for each in ids * 100)
    job_id = run(api, "update", text)
    job = api.get(f"jobs/ingest/{job_id}").json()
    assert job["numberRecordsProcessed"] == len(ids) * 100 > 10_000
    assert job["numberRecordsFailed"] == len(ids) * 100 - 10_000
    failed = results(api, job_id, "failedResults")
    assert {each["sf__Error"][:40] for each in failed} == {
        "UNABLE_TO_LOCK_ROW:unable to obtain excl"
    }


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["full", "short", "wrong", "unknown", "deleted", "converted", "", "twice"]),
        st.sampled_from(["true", "TRUE", "0", "", "maybe", "#N/A"]),
        st.sampled_from(["CEO", "", "#N/A", "x" * 129, "né", 'say "hi", then\ngo']),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture
def leads(emulator: RunningEmulator) -> dict[str, str]:
    ids = [each["Id"] for each in emulator.records("Lead") if not each["IsConverted"]]
    emulator.delete(ids[0])
    emulator.convert_lead(ids[1])
    return {"deleted": ids[0], "converted": ids[1], "twice": ids[2], "pool": ",".join(ids[3:])}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(rows=[("full", "true", "CEO"), ("twice", "true", ""), ("twice", "0", "CEO")])
@given(rows=ROWS)
def test_the_short_way_of_plain_updates_refuses_and_saves_as_the_long_one(
    emulator: RunningEmulator, api: Api, leads: dict[str, str], rows: list[tuple[str, str, str]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Id", OPT_OUT, "Title"])
    pool = iter(leads["pool"].split(","))
    writer.writerows([(id_of(kind, leads, pool), *rest) for kind, *rest in rows])
    seen = []
    for long_way in (False, True):
        emulator.clear_faults()
        if long_way:  # any order about rows takes the long way
            emulator.add_fault(action="row_error", object="Nothing")
        job_id = run(api, "update", text.getvalue(), "Lead")
        saved = [(each[OPT_OUT], each["Title"]) for each in emulator.records("Lead")]
        answers = [api.get(f"jobs/ingest/{job_id}/{name}").text for name in RESULTS]
        seen.append((saved, answers))
        emulator.reset()
        emulator.delete(leads["deleted"])
        emulator.convert_lead(leads["converted"])
    assert seen[0] == seen[1]


RESULTS = ("successfulResults", "failedResults")


def id_of(kind: str, leads: dict[str, str], pool: Any) -> str:
    if kind in leads:
        return leads[kind]
    own: str = next(pool)
    return {
        "full": own, "short": own[:15], "wrong": own[:17] + "0", "unknown": "00QHs00000zzzzzIAA",
        "": "",
    }[kind]  # fmt: skip
