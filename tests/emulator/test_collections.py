import pytest

from local.salesforce_emulator.testing import Api, RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"
UNKNOWN_ID = "003000000000001AAA"
ROLLED_BACK = {
    "success": False,
    "errors": [
        {
            "statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "message": "Record rolled back because not all records were valid and the request was "
            "using AllOrNone header",
            "fields": [],
        }
    ],
}


@pytest.fixture
def contacts(emulator: RunningEmulator) -> list[str]:
    return [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]][40:]


def records(ids: list[str], value: object = True, sobject: str = "Contact") -> list[object]:
    return [{"attributes": {"type": sobject}, "Id": each, OPT_OUT: value} for each in ids]


def save(api: Api, body: list[object], *, all_or_none: bool = False):
    document = {"allOrNone": all_or_none, "records": body}
    return api.call("PATCH", "composite/sobjects", json=document)


def failure(code: str, message: str, fields: list[str]) -> dict[str, object]:
    error = {"statusCode": code, "message": message, "fields": fields}
    return {"success": False, "errors": [error]}


def test_results_come_in_the_order_of_the_records(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    gone, good, other = contacts[:3]
    emulator.delete(gone)
    lead = next(each["Id"] for each in emulator.records("Lead") if not each["IsConverted"])
    emulator.convert_lead(lead, other)
    body = [
        *records([gone, good, UNKNOWN_ID, "0031a000005hwVQAAZ"]),
        *records([lead], sobject="Lead"),
        *records([other], "perhaps"),
    ]
    response = save(api, body)
    assert response.status_code == 200
    assert response.json() == [
        failure("ENTITY_IS_DELETED", "entity is deleted", []),
        {"id": good, "success": True, "errors": []},
        failure("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", []),
        failure(
            "MALFORMED_ID", "Contact ID: id value of incorrect type: 0031a000005hwVQAAZ", ["Id"]
        ),
        failure("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", []),
        failure(
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            "Email Opt Out: value not of required type: perhaps",
            [OPT_OUT],
        ),
    ]
    assert emulator.record(good)[OPT_OUT] is True


def test_all_or_none_rolls_everything_back(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    before = emulator.record(contacts[0])
    body = records([contacts[0], UNKNOWN_ID, contacts[1]], not before[OPT_OUT])
    response = save(api, body, all_or_none=True)
    assert response.status_code == 200
    assert response.json() == [
        ROLLED_BACK,
        failure("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", []),
        ROLLED_BACK,
    ]
    assert emulator.record(contacts[0]) == before


def test_all_or_none_saves_when_all_are_valid(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    results = save(api, records(contacts[:3]), all_or_none=True).json()
    assert [each["success"] for each in results] == [True] * 3
    assert all(emulator.record(each)[OPT_OUT] for each in contacts[:3])


def test_two_hundred_records_are_the_limit(api: Api, contacts: list[str]) -> None:
    assert save(api, records(contacts[:1] * 200)).status_code == 200
    refused = save(api, records(contacts[:1] * 201))
    assert refused.status_code == 400
    assert refused.json() == [
        {
            "message": "record limit reached. cannot submit more than 200 records into this call",
            "errorCode": "EXCEEDED_ID_LIMIT",
        }
    ]


def test_ten_changes_of_object_are_the_limit(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    lead = next(each["Id"] for each in emulator.records("Lead") if not each["IsConverted"])
    pair = [*records(contacts[:1]), *records([lead], sobject="Lead")]
    assert save(api, pair * 5).status_code == 200
    assert save(api, [*pair * 5, *pair[:1]]).status_code == 400


def test_an_invisible_field_refuses_the_whole_request(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=False, updateable=False)
    refused = save(api, records(contacts[:2]))
    assert refused.status_code == 400
    assert refused.json() == [
        {
            "message": f"No such column '{OPT_OUT}' on sobject of type Contact",
            "errorCode": "INVALID_FIELD",
        }
    ]


def test_a_read_only_field_fails_row_by_row(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    emulator.set_field_access("Contact", OPT_OUT, readable=True, updateable=False)
    results = save(api, records(contacts[:2])).json()
    assert [each["errors"][0]["statusCode"] for each in results] == [
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    ] * 2
    assert results[0]["errors"][0]["fields"] == [OPT_OUT]


@pytest.mark.parametrize(
    "document", [{}, {"records": 1}, {"records": [1]}, {"records": [{"Id": UNKNOWN_ID}]}]
)
def test_a_body_of_another_shape_is_refused(api: Api, document: object) -> None:
    assert api.call("PATCH", "composite/sobjects", json=document).status_code == 400


def test_records_are_read_in_the_order_asked_with_null_for_the_missing(
    emulator: RunningEmulator, api: Api, contacts: list[str]
) -> None:
    first, gone, last = contacts[5:8]
    emulator.delete(gone)
    ids = [last, UNKNOWN_ID, gone, first[:15], "nonsense"]
    by_post = api.call(
        "POST", "composite/sobjects/Contact", json={"ids": ids, "fields": ["Id", OPT_OUT]}
    )
    assert by_post.status_code == 200
    assert by_post.json() == [
        {
            "attributes": {
                "type": "Contact",
                "url": f"/services/data/v65.0/sobjects/Contact/{each}",
            },
            "Id": each,
            OPT_OUT: emulator.record(each)[OPT_OUT],
        }
        if each
        else None
        for each in (last, None, None, first, None)
    ]
    by_get = api.get(
        "composite/sobjects/Contact", params={"ids": ",".join(ids), "fields": f"Id,{OPT_OUT}"}
    )
    assert by_get.json() == by_post.json()


def test_reading_too_many_or_an_unknown_field_is_refused(api: Api, contacts: list[str]) -> None:
    for ids, fields, code in (
        (contacts[:1] * 2_001, ["Id"], "EXCEEDED_ID_LIMIT"),
        (contacts[:1], ["Nothing__c"], "INVALID_FIELD"),
    ):
        document = {"ids": ids, "fields": fields}
        response = api.call("POST", "composite/sobjects/Contact", json=document)
        assert (response.status_code, response.json()[0]["errorCode"]) == (400, code)
