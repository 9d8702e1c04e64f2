"""Clears against a scripted wire: one conditional request, and never a second one on a guess."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import requests

from include.domain.ids import to_18
from include.domain.values import FailureClass, SalesforceObject
from include.salesforce.clears import ClearOutcome
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import (
    ApiLimitError,
    InvalidFieldNameError,
    SalesforceRequestError,
    SalesforceUnavailableError,
)
from tests.salesforce.scripted import Answer, ScriptedSalesforce, error

CONTACT = SalesforceObject.CONTACT
RECORD = to_18("003000000000001")
ACCOUNT = to_18("001000000000001")
READ_AT = datetime(2026, 11, 22, 20, 0, 7, tzinfo=UTC)
FIELDS = ("HasOptedOutOfEmail", "Sales_Opt_Out__c")
CLEARED = Answer(204, b"")
LOST = requests.ConnectionError("Connection aborted")


def clear(
    salesforce: ScriptedSalesforce,
    fields: tuple[str, ...] = FIELDS,
    unmodified_since: datetime = READ_AT,
    account_id: str | None = None,
) -> ClearOutcome:
    client = SalesforceClient(salesforce.session)
    return client.clear_record(
        CONTACT, RECORD, fields, unmodified_since=unmodified_since, account_id=account_id
    )


def flags(*values: bool) -> Answer:
    return Answer(body=[{"attributes": {}, "Id": RECORD} | dict(zip(FIELDS, values, strict=True))])


def methods(salesforce: ScriptedSalesforce) -> list[str]:
    return [str(each.method) for each in salesforce.wire.sent]


def test_one_conditional_request_clears_all_fields() -> None:
    salesforce = ScriptedSalesforce(CLEARED)

    assert clear(salesforce) == ClearOutcome(succeeded=True)

    (request,) = salesforce.wire.sent
    assert request.method == "PATCH"
    assert request.path_url.endswith(f"/sobjects/Contact/{RECORD}")
    assert json.loads(request.body or b"") == {
        "HasOptedOutOfEmail": False,
        "Sales_Opt_Out__c": False,
    }
    assert request.headers["If-Unmodified-Since"] == "Sun, 22 Nov 2026 20:00:07 GMT"
    assert request.headers["Sforce-Auto-Assign"] == "FALSE"
    assert request.headers["Sforce-Duplicate-Rule-Header"] == "allowSave=true"


@pytest.mark.parametrize(
    "instant",
    [
        READ_AT + timedelta(microseconds=999_999),
        READ_AT.astimezone(timezone(timedelta(hours=-8))),
    ],
    ids=["microseconds", "another zone"],
)
def test_the_condition_is_the_whole_second_in_gmt(instant: datetime) -> None:
    salesforce = ScriptedSalesforce(CLEARED)

    clear(salesforce, unmodified_since=instant)

    sent = salesforce.wire.sent[0].headers["If-Unmodified-Since"]
    assert sent == "Sun, 22 Nov 2026 20:00:07 GMT"


def test_a_renewed_session_sends_the_same_condition_again() -> None:
    """simple-salesforce drops it there and would clear whatever was ticked in between."""
    salesforce = ScriptedSalesforce(error(401, "INVALID_SESSION_ID"), CLEARED)

    assert clear(salesforce).succeeded

    first, second = salesforce.wire.sent
    assert salesforce.logins == 2
    assert second.headers["If-Unmodified-Since"] == first.headers["If-Unmodified-Since"]
    assert second.body == first.body


@pytest.mark.parametrize("body", [[{"errorCode": "PRECONDITION_FAILED", "message": "x"}], b""])
def test_an_edited_record_is_left_as_it_is(body: object) -> None:
    salesforce = ScriptedSalesforce(Answer(412, body))

    outcome = clear(salesforce)

    assert not outcome.succeeded
    assert outcome.failure_class is FailureClass.CHANGED
    assert outcome.code == "CHANGED_SINCE_READ"
    assert "edited" in str(outcome.fix)
    assert methods(salesforce) == ["PATCH"]


@pytest.mark.parametrize(
    "lost",
    [LOST, requests.ReadTimeout("x"), Answer(503)],
    ids=["reset", "time-out", "503"],
)
@pytest.mark.parametrize(
    ("found", "code"),
    [
        (flags(False, False), None),
        (flags(False, True), "REPLY_LOST"),
        (flags(True, True), "REPLY_LOST"),
        (Answer(body=[None]), "NOT_FOUND"),
    ],
)
def test_after_a_lost_reply_the_record_is_read_and_nothing_sent_again(
    lost: Answer | Exception, found: Answer, code: str | None
) -> None:
    salesforce = ScriptedSalesforce(lost, found)

    outcome = clear(salesforce)

    assert methods(salesforce) == ["PATCH", "POST"]
    assert (outcome.succeeded, outcome.code) == (code is None, code)


def test_a_request_that_never_left_is_sent_again() -> None:
    salesforce = ScriptedSalesforce(requests.ConnectTimeout("no route"), CLEARED)

    assert clear(salesforce).succeeded
    assert methods(salesforce) == ["PATCH", "PATCH"]


def test_a_record_that_is_being_saved_is_for_the_next_run() -> None:
    salesforce = ScriptedSalesforce(error(400, "UNABLE_TO_LOCK_ROW"), flags(True, True))

    outcome = clear(salesforce)

    assert methods(salesforce) == ["PATCH", "POST"]
    assert (outcome.code, outcome.failure_class) == ("UNABLE_TO_LOCK_ROW", FailureClass.RETRY)


def test_when_the_record_cannot_be_read_either_nothing_is_claimed() -> None:
    salesforce = ScriptedSalesforce(LOST, *[Answer(503)] * 3)

    with pytest.raises(SalesforceUnavailableError):
        clear(salesforce)

    assert methods(salesforce).count("PATCH") == 1


@pytest.mark.parametrize(
    ("status", "code", "failure_class"),
    [
        (400, "INVALID_FIELD", FailureClass.PERMISSION),
        (400, "INSUFFICIENT_ACCESS_OR_READONLY", FailureClass.PERMISSION),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", FailureClass.VALIDATION),
        (400, "CANNOT_UPDATE_CONVERTED_LEAD", FailureClass.GONE),
        (404, "ENTITY_IS_DELETED", FailureClass.GONE),
        (404, "NOT_FOUND", FailureClass.GONE),
    ],
)
def test_a_refused_record_has_class_code_and_fix(
    status: int, code: str, failure_class: FailureClass
) -> None:
    outcome = clear(ScriptedSalesforce(error(status, code)))

    assert not outcome.succeeded
    assert (outcome.failure_class, outcome.code) == (failure_class, code)
    assert outcome.fix


def test_a_refusal_that_would_meet_every_record_is_an_error() -> None:
    with pytest.raises(SalesforceRequestError):
        clear(ScriptedSalesforce(error(405, "METHOD_NOT_ALLOWED")))
    with pytest.raises(ApiLimitError):
        clear(ScriptedSalesforce(error(403, "REQUEST_LIMIT_EXCEEDED")))


def test_a_person_account_is_cleared_on_its_account_under_the_names_there() -> None:
    salesforce = ScriptedSalesforce(CLEARED)

    assert clear(salesforce, account_id=ACCOUNT[:15]).succeeded

    (request,) = salesforce.wire.sent
    assert request.path_url.endswith(f"/sobjects/Account/{ACCOUNT}")
    assert json.loads(request.body or b"") == {
        "PersonHasOptedOutOfEmail": False,
        "Sales_Opt_Out__pc": False,
    }
    assert request.headers["If-Unmodified-Since"] == "Sun, 22 Nov 2026 20:00:07 GMT"


def test_after_a_lost_reply_to_a_person_account_its_contact_is_read() -> None:
    salesforce = ScriptedSalesforce(LOST, flags(False, False))

    assert clear(salesforce, account_id=ACCOUNT).succeeded
    assert salesforce.wire.sent[1].path_url.endswith("composite/sobjects/Contact")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error(400, "INVALID_FIELD"), "PERSON_ACCOUNT"),
        (error(400, "INSUFFICIENT_ACCESS_OR_READONLY"), "PERSON_ACCOUNT"),
        (error(404, "NOT_FOUND"), "PERSON_ACCOUNT"),  # the Account is hidden
        (error(404, "ENTITY_IS_DELETED"), "ENTITY_IS_DELETED"),
        (Answer(412, b""), "CHANGED_SINCE_READ"),
    ],
)
def test_an_account_we_may_not_write_has_a_code_of_its_own(answer: Answer, code: str) -> None:
    assert clear(ScriptedSalesforce(answer), account_id=ACCOUNT).code == code


def test_nonsense_is_refused_before_anything_is_sent() -> None:
    salesforce = ScriptedSalesforce()

    with pytest.raises(ValueError, match="without fields"):
        clear(salesforce, fields=())
    with pytest.raises(ValueError, match="zone"):
        clear(salesforce, unmodified_since=READ_AT.replace(tzinfo=None))
    with pytest.raises(InvalidFieldNameError):
        clear(salesforce, fields=("a'b",))
    with pytest.raises(ValueError, match="not a Salesforce Id"):
        clear(salesforce, account_id="")

    assert salesforce.wire.sent == []
