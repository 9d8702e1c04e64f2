import json

import pandas as pd
import pytest
import requests

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import IncompleteJobError, SalesforceUnavailableError
from tests.salesforce.scripted import Answer, ListJournal, ScriptedSalesforce, error

CONTACT = SalesforceObject.CONTACT
IDS = [to_18(f"003{number:012d}") for number in range(5_000)]
LOST = requests.ConnectionError("Connection aborted")


def saved(ids: list[str]) -> Answer:
    return Answer(body=[{"id": each, "success": True, "errors": []} for each in ids])


def flags(values: dict[str, bool | None]) -> Answer:
    return Answer(
        body=[
            None if value is None else {"attributes": {}, "Id": each, "Flag__c": value}
            for each, value in values.items()
        ]
    )


def write(salesforce: ScriptedSalesforce, ids: list[str]) -> list[pd.DataFrame]:
    client = SalesforceClient(salesforce.session)
    return list(client.write_flags(CONTACT, "Flag__c", ids, ListJournal()))


def test_one_request_carries_200_records_each_on_its_own() -> None:
    salesforce = ScriptedSalesforce(saved(IDS[:200]), saved(IDS[200:400]), saved(IDS[400:401]))

    frames = write(salesforce, IDS[:401])

    assert [len(frame) for frame in frames] == [200, 200, 1]
    body = json.loads(salesforce.wire.sent[0].body or b"")
    assert body["allOrNone"] is False
    assert body["records"][0] == {
        "attributes": {"type": "Contact"},
        "id": IDS[0],
        "Flag__c": True,
    }
    assert salesforce.wire.sent[0].headers["Sforce-Duplicate-Rule-Header"] == "allowSave=true"


def test_no_write_lets_assignment_rules_run() -> None:
    salesforce = ScriptedSalesforce(saved(IDS[:200]), saved(IDS[200:400]))

    write(salesforce, IDS[:400])

    assert [each.headers["Sforce-Auto-Assign"] for each in salesforce.wire.sent] == ["FALSE"] * 2


def test_nothing_further_is_sent_while_a_frame_is_being_recorded() -> None:
    salesforce = ScriptedSalesforce(saved(IDS[:200]), saved(IDS[200:400]))
    writing = SalesforceClient(salesforce.session).write_flags(
        CONTACT, "Flag__c", IDS[:400], ListJournal()
    )

    next(writing)

    assert len(salesforce.wire.sent) == 1


def test_after_a_lost_reply_only_what_is_not_set_yet_is_sent_again() -> None:
    """A flow of the org runs with every write, also of an equal value."""
    there = flags({IDS[0]: True, IDS[1]: False, IDS[2]: None})
    salesforce = ScriptedSalesforce(LOST, Answer(503), there, saved(IDS[1:3]))

    (frame,) = write(salesforce, IDS[:3])

    assert frame["succeeded"].all()
    again = json.loads(salesforce.wire.sent[-1].body or b"")["records"]
    assert [each["id"] for each in again] == IDS[1:3]


def test_after_a_lost_reply_nothing_is_sent_again_if_everything_is_set() -> None:
    salesforce = ScriptedSalesforce(LOST, flags(dict.fromkeys(IDS[:2], True)))

    (frame,) = write(salesforce, IDS[:2])

    assert frame["succeeded"].all()
    assert len(salesforce.wire.sent) == 2


def test_an_answer_that_is_cut_short_is_a_lost_reply() -> None:
    there = flags(dict.fromkeys(IDS[:2], True))
    salesforce = ScriptedSalesforce(Answer(200, b'[{"id": "003'), there)

    (frame,) = write(salesforce, IDS[:2])

    assert frame["succeeded"].all()


def test_a_hidden_field_fails_the_rows_so_that_each_has_an_outcome() -> None:
    salesforce = ScriptedSalesforce(error(400, "INVALID_FIELD"))

    (frame,) = write(salesforce, IDS[:2])

    assert set(frame["failure_class"]) == {"permission"}
    assert set(frame["code"]) == {"INVALID_FIELD"}


def test_when_salesforce_stays_away_earlier_frames_stand() -> None:
    salesforce = ScriptedSalesforce(saved(IDS[:200]), *[Answer(503)] * 4)
    writing = SalesforceClient(salesforce.session).write_flags(
        CONTACT, "Flag__c", IDS[:400], ListJournal()
    )

    assert next(writing)["succeeded"].all()
    with pytest.raises(SalesforceUnavailableError):
        next(writing)


def test_reading_asks_2000_records_at_once_and_keeps_the_order_asked() -> None:
    asked = IDS[:2001][::-1]
    salesforce = ScriptedSalesforce(
        flags(dict.fromkeys(asked[:2000], True)), flags({asked[2000]: None})
    )

    frame = SalesforceClient(salesforce.session).read_flags(CONTACT, ["Flag__c"], asked)

    assert frame["record_id"].tolist() == asked
    assert str(frame["Flag__c"].dtype) == "boolean"
    assert frame["Flag__c"][:2000].all()
    assert frame["Flag__c"].isna().tolist() == [False] * 2000 + [True]


def test_several_flags_are_read_at_once() -> None:
    record = {"attributes": {}, "Id": IDS[0], "Flag__c": True, "HasOptedOutOfEmail": False}
    salesforce = ScriptedSalesforce(Answer(body=[record, None]))

    frame = SalesforceClient(salesforce.session).read_flags(
        CONTACT, ["Flag__c", "HasOptedOutOfEmail"], IDS[:2]
    )

    assert json.loads(salesforce.wire.sent[0].body or b"")["fields"] == [
        "Id",
        "Flag__c",
        "HasOptedOutOfEmail",
    ]
    assert frame.columns.tolist() == ["record_id", "Flag__c", "HasOptedOutOfEmail"]
    assert frame.iloc[0].tolist() == [IDS[0], True, False]
    assert frame.iloc[1, 1:].isna().all()


def test_a_record_answered_under_its_15_characters_is_recognised() -> None:
    salesforce = ScriptedSalesforce(flags({IDS[0][:15]: True}))

    frame = SalesforceClient(salesforce.session).read_flags(CONTACT, ["Flag__c"], [IDS[0]])

    assert frame["Flag__c"].tolist() == [True]


def test_reading_that_answers_too_few_records_is_refused() -> None:
    salesforce = ScriptedSalesforce(flags({IDS[0]: True}))

    with pytest.raises(IncompleteJobError):
        SalesforceClient(salesforce.session).read_flags(CONTACT, ["Flag__c"], IDS[:2])


def test_nothing_to_write_sends_nothing() -> None:
    salesforce = ScriptedSalesforce()

    assert write(salesforce, []) == []
    assert SalesforceClient(salesforce.session).read_flags(CONTACT, ["Flag__c"], []).empty
    assert salesforce.wire.sent == []
