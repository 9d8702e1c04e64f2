from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
UNKNOWN_ID = "003000000000001AAA"


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.000%z")


@pytest.fixture
def contact(emulator: RunningEmulator) -> dict[str, object]:
    return next(each for each in emulator.records("Contact") if not each["IsDeleted"])


def patch(api: Api, record_id: object, values: dict[str, object], **headers: str):
    sobject = "Lead" if str(record_id).startswith("00Q") else "Contact"
    return api.call("PATCH", f"sobjects/{sobject}/{record_id}", json=values, headers=headers)


def test_a_patch_is_answered_by_nothing_and_seen_by_the_next_read(
    emulator: RunningEmulator, api: Api, contact: dict[str, object]
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    response = patch(api, contact["Id"], {OPT_OUT: not contact[OPT_OUT]})
    assert (response.status_code, response.content) == (204, b"")
    read = api.get(f"sobjects/Contact/{contact['Id']}", params={"fields": f"{OPT_OUT},Email"})
    assert read.json() == {
        "attributes": {
            "type": "Contact",
            "url": f"/services/data/v65.0/sobjects/Contact/{contact['Id']}",
        },
        OPT_OUT: not contact[OPT_OUT],
        "Email": contact["Email"],
        "Id": contact["Id"],
    }
    after = emulator.record(str(contact["Id"]))
    assert after["SystemModstamp"] == after["LastModifiedDate"]
    assert at(after["SystemModstamp"]) >= began
    assert after["CreatedDate"] == contact["CreatedDate"]


def test_the_last_writer_is_the_integration_user_or_the_human(
    emulator: RunningEmulator, api: Api, contact: dict[str, object]
) -> None:
    health = emulator.control("GET", "health")
    patch(api, contact["Id"], {OPT_OUT: True})
    assert emulator.record(str(contact["Id"]))["LastModifiedById"] == health["integration_user_id"]
    emulator.edit(str(contact["Id"]), HasOptedOutOfEmail=False)
    assert emulator.record(str(contact["Id"]))["LastModifiedById"] == health["human_user_id"]


def test_a_record_is_found_by_the_short_form_of_its_id(
    api: Api, contact: dict[str, object]
) -> None:
    assert patch(api, str(contact["Id"])[:15], {OPT_OUT: True}).status_code == 204


def test_an_id_with_a_wrong_checksum_is_refused_as_recorded(api: Api) -> None:
    response = patch(api, "0031a000005hwVQAAZ", {OPT_OUT: True})
    assert response.status_code == 400
    assert response.json() == [
        {
            "message": "Record ID: id value of incorrect type: 0031a000005hwVQAAZ",
            "errorCode": "MALFORMED_ID",
            "fields": ["Id"],
        }
    ]


def test_a_record_that_did_not_change_is_not_sent_again(
    api: Api, contact: dict[str, object]
) -> None:
    path = f"sobjects/Contact/{contact['Id']}"
    modified_at = api.get(path).headers["Last-Modified"]
    known = api.get(path, headers={"If-Modified-Since": modified_at})
    assert (known.status_code, known.content) == (304, b"")
    long_ago = {"If-Modified-Since": "Wed, 14 Apr 2010 10:13:06 GMT"}
    assert api.get(path, headers=long_ago).status_code == 200
    assert (
        api.get(path, headers={"If-Unmodified-Since": long_ago["If-Modified-Since"]}).status_code
        == 412
    )


def test_an_unknown_record_is_not_found(api: Api) -> None:
    read = api.get(f"sobjects/Contact/{UNKNOWN_ID}")
    assert read.status_code == 404
    assert read.json() == [
        {"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}
    ]
    written = patch(api, UNKNOWN_ID, {OPT_OUT: True})
    assert written.status_code == 404
    assert written.json()[0]["errorCode"] == "INVALID_CROSS_REFERENCE_KEY"


def test_a_deleted_record_is_gone_as_recorded(
    emulator: RunningEmulator, api: Api, contact: dict[str, object]
) -> None:
    emulator.delete(str(contact["Id"]))
    body = [{"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED", "fields": []}]
    for response in (
        api.get(f"sobjects/Contact/{contact['Id']}"),
        patch(api, contact["Id"], {OPT_OUT: True}),
    ):
        assert (response.status_code, response.json()) == (404, body)
    emulator.undelete(str(contact["Id"]))
    assert patch(api, contact["Id"], {OPT_OUT: True}).status_code == 204


def test_a_converted_lead_cannot_be_written(emulator: RunningEmulator, api: Api) -> None:
    lead = next(each for each in emulator.records("Lead") if not each["IsConverted"])
    emulator.convert_lead(lead["Id"])
    response = patch(api, lead["Id"], {OPT_OUT: True})
    assert response.status_code == 400
    assert response.json() == [
        {
            "message": "cannot reference converted lead",
            "errorCode": "CANNOT_UPDATE_CONVERTED_LEAD",
            "fields": [],
        }
    ]


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        (
            {"Color__c": "Red"},
            "INVALID_FIELD",
            "No such column 'Color__c' on sobject of type Contact",
        ),
        ({"LastName": ""}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]"),
        ({"Email": "nobody"}, "INVALID_EMAIL_ADDRESS", "Email: invalid email address: nobody"),
        (
            {"FirstName": "x" * 41},
            "STRING_TOO_LONG",
            f"First Name: data value too large: {'x' * 41} (max length=40)",
        ),
        (
            {OPT_OUT: "perhaps"},
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            "Email Opt Out: value not of required type: perhaps",
        ),
        (
            {"SystemModstamp": "2026-01-01T00:00:00Z"},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Unable to create/update fields: SystemModstamp. Please check the security settings "
            "of this field and verify that it is read/write for your profile or permission set.",
        ),
    ],
)
def test_wrong_values_are_refused_and_nothing_is_saved(
    emulator: RunningEmulator,
    api: Api,
    contact: dict[str, object],
    values: dict[str, object],
    code: str,
    message: str,
) -> None:
    response = patch(api, contact["Id"], {"Phone": "1", **values})
    assert response.status_code == 400
    assert response.json()[0]["errorCode"] == code
    assert response.json()[0]["message"] == message
    assert emulator.record(str(contact["Id"])) == contact


def test_a_body_which_is_no_json_is_refused(api: Api, contact: dict[str, object]) -> None:
    for body in ("{", "[1]"):
        response = api.call("PATCH", f"sobjects/Contact/{contact['Id']}", data=body)
        assert response.status_code == 400
        assert response.json()[0]["errorCode"] == "JSON_PARSER_ERROR"


def test_a_conditional_patch_works_only_on_an_unmodified_record(
    emulator: RunningEmulator, api: Api, contact: dict[str, object]
) -> None:
    modified = at(str(contact["LastModifiedDate"]))
    earlier, exact = (
        format_datetime(moment, usegmt=True)
        for moment in (modified.astimezone(UTC) - timedelta(seconds=1), modified.astimezone(UTC))
    )
    refused = patch(api, contact["Id"], {"Title": "new"}, **{"If-Unmodified-Since": earlier})
    assert refused.status_code == 412
    assert emulator.record(str(contact["Id"])) == contact
    saved = patch(api, contact["Id"], {"Title": "new"}, **{"If-Unmodified-Since": exact})
    assert saved.status_code == 204
    assert emulator.record(str(contact["Id"]))["Title"] == "new"


@pytest.mark.parametrize("sobject", ["Contact", "Lead", "Account"])
def test_the_condition_is_checked_to_the_second_on_every_object(
    emulator: RunningEmulator, api: Api, sobject: str
) -> None:
    record = emulator.records(sobject)[0]
    path = f"sobjects/{sobject}/{record['Id']}"
    read_at = format_datetime(at(record["LastModifiedDate"]).astimezone(UTC), usegmt=True)
    headers = {"If-Unmodified-Since": read_at}
    assert api.call("PATCH", path, json={"Phone": "1"}, headers=headers).status_code == 204
    refused = api.call("PATCH", path, json={"Phone": "2"}, headers=headers)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (412, "PRECONDITION_FAILED")
    assert emulator.record(record["Id"])["Phone"] == "1"


def test_a_person_account_is_guarded_by_either_half(emulator: RunningEmulator, api: Api) -> None:
    emulator.enable_person_accounts()
    contact = next(each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"])
    path = f"sobjects/Account/{emulator.make_person_account(contact)}"
    an_hour_ago = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    headers = {"If-Unmodified-Since": an_hour_ago}
    values = {"PersonHasOptedOutOfEmail": True}
    assert api.call("PATCH", path, json=values, headers=headers).status_code == 412
    modified = at(emulator.record(contact)["LastModifiedDate"]).astimezone(UTC)
    headers = {"If-Unmodified-Since": format_datetime(modified, usegmt=True)}
    assert api.call("PATCH", path, json=values, headers=headers).status_code == 204


def test_an_unreadable_condition_is_refused(api: Api, contact: dict[str, object]) -> None:
    response = patch(
        api, contact["Id"], {OPT_OUT: True}, **{"If-Unmodified-Since": "the day before yesterday"}
    )
    assert response.status_code == 400
