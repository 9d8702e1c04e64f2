import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.values import FailureClass
from include.salesforce.failures import UNKNOWN, code_of, code_of_job, code_of_row, explain

RETRY, PERMISSION = FailureClass.RETRY, FailureClass.PERMISSION
VALIDATION, GONE = FailureClass.VALIDATION, FailureClass.GONE


@pytest.mark.parametrize(
    ("code", "failure_class"),
    [
        ("UNABLE_TO_LOCK_ROW", RETRY),
        ("REQUEST_LIMIT_EXCEEDED", RETRY),
        ("UNPROCESSED", RETRY),
        ("REPLY_LOST", RETRY),
        ("CHANGED_SINCE_READ", FailureClass.CHANGED),
        ("PERSON_ACCOUNT", PERMISSION),
        ("ENTITY_IS_DELETED", GONE),
        ("NOT_FOUND", GONE),
        ("INVALID_CROSS_REFERENCE_KEY", GONE),
        ("CANNOT_UPDATE_CONVERTED_LEAD", GONE),
        ("INSUFFICIENT_ACCESS_OR_READONLY", PERMISSION),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", PERMISSION),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", PERMISSION),
        ("INVALID_FIELD", PERMISSION),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", VALIDATION),
        ("DUPLICATES_DETECTED", VALIDATION),
    ],
)
def test_class_of_a_status_code(code: str, failure_class: FailureClass) -> None:
    failure = explain(code)

    assert failure.failure_class is failure_class
    assert failure.fix.endswith(".")


@pytest.mark.parametrize(
    "code",
    [
        "ENTITY_IS_DELETED",
        "NOT_FOUND",
        "INVALID_CROSS_REFERENCE_KEY",
        "CANNOT_UPDATE_CONVERTED_LEAD",
    ],
)
def test_a_record_that_is_gone_says_which_id_to_put_where(code: str) -> None:
    """Nothing follows a merge, a deletion or a conversion by itself."""
    fix = explain(code).fix

    assert "salesforce_id in the store" in fix
    assert "the next night carries the opt-out over" in fix
    assert "Nothing to do" not in fix


def test_an_unknown_code_is_validation_and_named_in_the_fix() -> None:
    failure = explain("STORAGE_LIMIT_EXCEEDED")

    assert failure.failure_class is VALIDATION
    assert "STORAGE_LIMIT_EXCEEDED" in failure.fix


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records:--",
            "UNABLE_TO_LOCK_ROW",
        ),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION:Ann Lee, ann@example.com\n2nd line:Email --",
         "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        ("ann@example.com is not allowed", UNKNOWN),
        ("Ann: no", UNKNOWN),
        (None, UNKNOWN),
        (float("nan"), UNKNOWN),
    ],
)  # fmt: skip
def test_only_the_code_of_a_row_error_is_kept(text: object, code: str) -> None:
    assert code_of_row(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("InvalidBatch : Field name not found : HasOptedOutOfEmail", "INVALID_FIELD"),
        ("INVALID_FIELD: \nSELECT Secret__c FROM Contact\n^\nERROR at Row:1", "INVALID_FIELD"),
        ("No such column 'X' on entity 'Contact'", "INVALID_FIELD"),
        ("InvalidBatch : Records not processed", "InvalidBatch"),
        ("TooManyLockFailure", "TooManyLockFailure"),
        ("something went wrong", UNKNOWN),
    ],
)
def test_only_the_code_of_a_job_error_is_kept(text: str, code: str) -> None:
    assert code_of_job(text) == code


@given(st.text())
def test_free_text_never_becomes_a_code(text: str) -> None:
    """Whatever Salesforce writes, what we keep has no space, digit, at-sign or dot."""
    for code in (code_of(text), code_of_row(text), code_of_job(text)):
        assert code.replace("_", "").isalpha()
        assert code.isascii()
