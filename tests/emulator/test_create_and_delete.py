"""Records made, found by a key, changed by it and deleted, one at a time and many at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator


@pytest.fixture
def key(emulator: RunningEmulator, api: Api) -> str:
    """An external Id on Contact, which the integration user may use."""
    emulator.install_field(
        "Contact", fullName="Store_Id__c", type="Text", label="Store Id", length=40, externalId=True
    )
    return "Store_Id__c"


def test_a_new_record_is_answered_as_recorded(emulator: RunningEmulator, api: Api) -> None:
    """From forcedotcom/sf-fx-runtime-java, create.json: 201, Location, these keys in order."""
    response = api.call("POST", "sobjects/Contact", json={"LastName": "Somebody"})
    body = response.json()
    assert response.status_code == 201
    assert list(body) == ["id", "success", "errors"]
    assert (body["success"], body["errors"]) == (True, [])
    assert response.headers["Location"] == f"/services/data/v65.0/sobjects/Contact/{body['id']}"
    record = emulator.record(body["id"])
    assert (record["LastName"], record["HasOptedOutOfEmail"]) == ("Somebody", False)
    assert record["OwnerId"] == emulator.control("GET", "health")["integration_user_id"]
    assert record["CreatedDate"] == record["SystemModstamp"]


# Status, code and message from forcedotcom/sf-fx-runtime-java: create-required-field-missing,
# create-invalid-field, create-unknown-object.
@pytest.mark.parametrize(
    ("sobject", "values", "status", "error"),
    [
        (
            "Lead",
            {"LastName": "X"},
            400,
            {
                "message": "Required fields are missing: [Company]",
                "errorCode": "REQUIRED_FIELD_MISSING",
                "fields": ["Company"],
            },
        ),
        (
            "Account",
            {"FavoritePet__c": "Dog"},
            400,
            {
                "message": "No such column 'FavoritePet__c' on sobject of type Account",
                "errorCode": "INVALID_FIELD",
            },
        ),
        (
            "PlayingCard__c",
            {"Name": "Ace of Spades"},
            404,
            {"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"},
        ),
    ],
)
def test_a_record_that_cannot_be_made_is_refused_as_recorded(
    api: Api, sobject: str, values: dict[str, str], status: int, error: dict[str, Any]
) -> None:
    response = api.call("POST", f"sobjects/{sobject}", json=values)
    assert (response.status_code, response.json()) == (status, [error])


def test_a_deleted_record_is_gone_and_cannot_be_deleted_twice(
    emulator: RunningEmulator, api: Api
) -> None:
    """From forcedotcom/sf-fx-runtime-java: delete.json, delete-already-deleted.json."""
    contact = emulator.records("Contact")[0]["Id"]
    path = f"sobjects/Contact/{contact}"
    gone = api.call("DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    again = api.call("DELETE", path)
    assert again.status_code == 404
    assert again.json() == [
        {"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED", "fields": []}
    ]
    assert emulator.record(contact)["IsDeleted"] is True
    emulator.undelete(contact)
    assert api.get(path).status_code == 200


def test_an_upsert_creates_then_changes(emulator: RunningEmulator, api: Api, key: str) -> None:
    """From restforce-db's cassettes, 2015: 201 with the Id, then 204; both say more since v46."""
    path = f"sobjects/Contact/{key}/a%2Fb%20c"
    made = api.call("PATCH", path, json={"LastName": "One"})
    assert made.status_code == 201
    contact = made.json()["id"]
    assert made.json() == {"id": contact, "success": True, "errors": [], "created": True}
    changed = api.call("PATCH", path, json={"LastName": "Two"})
    assert (changed.status_code, changed.json()["created"]) == (200, False)
    record = emulator.record(contact)
    assert (record["LastName"], record[key]) == ("Two", "a/b c")
    old = f"{emulator.http_url}/services/data/v45.0/{path}"
    assert api.session.patch(old, json={"LastName": "Three"}, timeout=10).status_code == 204
    assert api.get(path).json()["Id"] == contact
    assert api.call("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_key_that_several_records_have_is_answered_with_their_addresses(
    emulator: RunningEmulator, api: Api, key: str
) -> None:
    ids = sorted(each["Id"] for each in emulator.records("Contact"))[:2]
    for each in ids:
        emulator.edit(each, **{key: "same"})
    for method, options in (("GET", {}), ("PATCH", {"json": {"LastName": "X"}})):
        several = api.call(method, f"sobjects/Contact/{key}/SAME", **options)
        assert several.status_code == 300
        assert several.json() == [f"/services/data/v65.0/sobjects/Contact/{each}" for each in ids]


def test_only_keys_find_records(api: Api, key: str) -> None:
    refused = api.call("PATCH", "sobjects/Contact/Phone/1", json={"LastName": "X"})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_FIELD")
    assert "does not match an External ID" in refused.json()[0]["message"]
    both = api.call("PATCH", f"sobjects/Contact/{key}/1", json={key: "2", "LastName": "X"})
    assert both.json()[0]["message"] == (
        "The Store_Id__c field should not be specified in the sobject data."
    )


def test_many_are_made_in_order_as_recorded(emulator: RunningEmulator, api: Api) -> None:
    """From CumulusCI: POST composite/sobjects answers 200 with one result per record."""
    records = [
        {"attributes": {"type": "Account"}, "Name": "Sitwell-Bluth"},
        {"attributes": {"type": "Contact"}},
        {"attributes": {"type": "Contact"}, "LastName": "Sitwell"},
    ]
    response = api.call("POST", "composite/sobjects", json={"allOrNone": False, "records": records})
    first, second, third = response.json()
    assert response.status_code == 200
    assert first == {"id": first["id"], "success": True, "errors": []}
    assert first["id"].startswith("001")
    assert second["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert emulator.record(third["id"])["LastName"] == "Sitwell"


def test_all_or_none_makes_none(emulator: RunningEmulator, api: Api) -> None:
    before = emulator.records("Contact")
    records = [
        {"attributes": {"type": "Contact"}, "LastName": "Sitwell"},
        {"attributes": {"type": "Contact"}},
    ]
    body = {"allOrNone": True, "records": records}
    results = api.call("POST", "composite/sobjects", json=body).json()
    assert [each["errors"][0]["statusCode"] for each in results] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert emulator.records("Contact") == before


def test_many_are_upserted_by_email_and_say_if_they_were_created_as_recorded(api: Api) -> None:
    """From CumulusCI: PATCH composite/sobjects/Contact/Email and .../Contact/Id with null."""
    records = [
        {"attributes": {"type": "Contact"}, "LastName": "Cain", "Email": "audrey@example.net"},
        {"attributes": {"type": "Contact"}, "LastName": "Cain"},
    ]
    for created in (True, False):
        body = {"allOrNone": False, "records": records}
        first, second = api.call("PATCH", "composite/sobjects/Contact/Email", json=body).json()
        assert list(first) == ["id", "success", "errors", "created"]
        assert first["created"] is created
        assert second["errors"][0]["statusCode"] == "MISSING_ARGUMENT"
    records = [{"attributes": {"type": "Contact"}, "LastName": "Cain", "Id": None}]
    (made,) = api.call("PATCH", "composite/sobjects/Contact/Id", json={"records": records}).json()
    assert made["created"] is True


def test_many_are_deleted(emulator: RunningEmulator, api: Api) -> None:
    contact, lead = (emulator.records(each)[0]["Id"] for each in ("Contact", "Lead"))
    path = f"composite/sobjects?ids={contact},{lead},{contact}&allOrNone=false"
    results = api.call("DELETE", path).json()
    assert [each["success"] for each in results] == [True, True, False]
    assert results[2]["errors"][0]["statusCode"] == "ENTITY_IS_DELETED"
    assert emulator.record(lead)["IsDeleted"] is True


def test_an_account_has_a_tag_that_a_client_can_insist_on(
    emulator: RunningEmulator, api: Api
) -> None:
    account = emulator.records("Account")[0]["Id"]
    path = f"sobjects/Account/{account}"
    tag = api.get(path).headers["ETag"]
    assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    stale = api.call("PATCH", path, json={"Name": "X"}, headers={"If-Match": '"0badc0de"'})
    assert stale.status_code == 412
    assert api.call("PATCH", path, json={"Name": "X"}, headers={"If-Match": tag}).ok
    contact = emulator.records("Contact")[0]["Id"]
    assert "ETag" not in api.get(f"sobjects/Contact/{contact}").headers


def test_a_describe_has_a_tag_as_recorded_and_a_changed_right_makes_another(
    emulator: RunningEmulator, api: Api
) -> None:
    """The shape is CumulusCI's ManualEditTestCompositeParallelSalesforce: "baf7f695", 304."""
    first = api.get("sobjects/Contact/describe").headers
    assert len(first["ETag"]) == len('"baf7f695"')
    known = {"If-None-Match": first["ETag"]}
    assert api.get("sobjects/Contact/describe", headers=known).status_code == 304
    emulator.set_field_access("Contact", "Title", readable=False, updateable=False)
    assert api.get("sobjects/Contact/describe", headers=known).status_code == 200
    since = {"If-Modified-Since": "Wed, 14 Apr 2010 10:13:06 GMT"}
    assert api.get("sobjects", headers=since).status_code == 200


def test_counts_of_records_leave_out_empty_objects_as_recorded(
    emulator: RunningEmulator, api: Api
) -> None:
    """From CumulusCI: limits/recordCount?sObjects=..."""
    living = [each for each in emulator.records("Contact") if not each["IsDeleted"]]
    answer = api.get("limits/recordCount?sObjects=Contact,PermissionSetAssignment").json()
    assert answer == {"sObjects": [{"count": len(living), "name": "Contact"}]}


def window(minutes: int = 5) -> dict[str, str]:
    now = datetime.now(UTC)
    start, end = now - timedelta(minutes=minutes), now + timedelta(minutes=minutes)
    return {"start": start.isoformat(timespec="seconds"), "end": end.isoformat(timespec="seconds")}


def test_changed_and_deleted_records_can_be_asked_for_by_time(
    emulator: RunningEmulator, api: Api
) -> None:
    changed, removed = (each["Id"] for each in emulator.records("Contact")[:2])
    emulator.edit(changed, Title="New")
    emulator.delete(removed)
    updated = api.get("sobjects/Contact/updated", params=window()).json()
    assert updated["ids"] == [changed]
    covered = datetime.fromisoformat(updated["latestDateCovered"])
    assert covered < datetime.now(UTC) - timedelta(seconds=59)
    deleted = api.get("sobjects/Contact/deleted", params=window()).json()
    assert [each["id"] for each in deleted["deletedRecords"]] == [removed]
    assert "earliestDateAvailable" in deleted


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("2020-01-01T00:00:00+00:00", "INVALID_REPLICATION_DATE"),
        ("2020-01-01T00:00:00:", "MALFORMED_QUERY"),  # what a naive datetime makes of a client
        ("2020-01-01T00:00:00", "MALFORMED_QUERY"),
    ],
)
def test_times_out_of_reach_are_refused(api: Api, start: str, code: str) -> None:
    params = {"start": start, "end": datetime.now(UTC).isoformat(timespec="seconds")}
    refused = api.get("sobjects/Contact/updated", params=params)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, code)
