"""Why Salesforce rejected a row, in a class that decides and a sentence that helps.

The table below is the whole knowledge: Salesforce's status code, the kind of help it needs, and
what an admin should do. Salesforce's own message is never repeated: it may quote personal data.
"""

import re
from dataclasses import dataclass
from typing import Final

from include.domain.values import FailureClass

UNKNOWN: Final = "UNKNOWN_ERROR"
UNPROCESSED: Final = "UNPROCESSED"
INVALID_FIELD: Final = "INVALID_FIELD"
INVALID_TYPE: Final = "INVALID_TYPE"
NOT_FOUND: Final = "NOT_FOUND"
REPLY_LOST: Final = "REPLY_LOST"
CHANGED_SINCE_READ: Final = "CHANGED_SINCE_READ"
PERSON_ACCOUNT: Final = "PERSON_ACCOUNT"

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z_]{2,79}")
_ROW_ERROR: Final = re.compile(r"([A-Z][A-Z_]{2,79}):")  # `CODE:message:fields --`
_JOB_ERROR: Final = re.compile(r"([A-Za-z][A-Za-z_]{2,79}) ?:")  # `InvalidBatch : message`


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason for a rejected row."""

    code: str
    failure_class: FailureClass
    fix: str


_NEXT_NIGHT: Final = "Nothing to do: the next run tries again."
_EDIT_ACCESS: Final = (
    "Give the integration user edit access to this record and to the opt-out field "
    "(permission set, sharing, record type)."
)
_FIELD_ACCESS: Final = (
    "Make the opt-out field visible and editable for the integration user in its permission set."
)
_INTO_THE_STORE: Final = (
    "into the person's salesforce_id in the store, then the next night carries the opt-out over."
)
_IS_GONE: Final = (
    "The record was deleted, or lives on as another one after a merge. If there is a surviving "
    "record, put its Id " + _INTO_THE_STORE
)
_IS_CONVERTED: Final = (
    "The Lead was converted and lives on as a Contact: put that Contact's Id " + _INTO_THE_STORE
)

_RETRY, _PERMISSION = FailureClass.RETRY, FailureClass.PERMISSION
_VALIDATION, _GONE = FailureClass.VALIDATION, FailureClass.GONE
_CHANGED = FailureClass.CHANGED

_TABLE: Final = {
    "UNABLE_TO_LOCK_ROW": (_RETRY, "Somebody was saving the record at that moment. " + _NEXT_NIGHT),
    "SERVER_UNAVAILABLE": (_RETRY, "Salesforce was busy. " + _NEXT_NIGHT),
    "REQUEST_RUNNING_TOO_LONG": (_RETRY, "Salesforce ran out of time. " + _NEXT_NIGHT),
    "REQUEST_LIMIT_EXCEEDED": (_RETRY, "The org's API requests were used up. " + _NEXT_NIGHT),
    "API_TEMPORARILY_UNAVAILABLE": (_RETRY, "Salesforce was busy. " + _NEXT_NIGHT),
    "QUERY_TIMEOUT": (_RETRY, "Salesforce ran out of time. " + _NEXT_NIGHT),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": (_RETRY, "Another row stopped this one. " + _NEXT_NIGHT),
    UNPROCESSED: (_RETRY, "Salesforce ended the job before it came to this row. " + _NEXT_NIGHT),
    REPLY_LOST: (_RETRY, "The reply was lost and the record shows another value. " + _NEXT_NIGHT),
    CHANGED_SINCE_READ: (
        _CHANGED,
        "Somebody edited the record after it was read, so its opt-out was not cleared. Nothing to "
        "do: the next run decides again.",
    ),
    "ENTITY_IS_DELETED": (_GONE, _IS_GONE),
    NOT_FOUND: (_GONE, _IS_GONE),
    "INVALID_CROSS_REFERENCE_KEY": (_GONE, _IS_GONE),
    "CANNOT_UPDATE_CONVERTED_LEAD": (_GONE, _IS_CONVERTED),
    "INSUFFICIENT_ACCESS_OR_READONLY": (_PERMISSION, _EDIT_ACCESS),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (
        _PERMISSION,
        "Give the integration user access to the records this one refers to (account, owner).",
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": (
        _PERMISSION,
        "A trigger or flow on the object failed for the integration user: let it run or exclude "
        "this user.",
    ),
    PERSON_ACCOUNT: (
        _PERMISSION,
        "The record belongs to a person account, so its opt-out is written on the Account: give "
        "the integration user edit access to Accounts and to the opt-out field there "
        "(PersonHasOptedOutOfEmail, or the custom field ending in __pc).",
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": (_PERMISSION, _FIELD_ACCESS),
    INVALID_FIELD: (_PERMISSION, _FIELD_ACCESS),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": (
        _VALIDATION,
        "A validation rule rejects the record: exempt the integration user or complete the record.",
    ),
    "REQUIRED_FIELD_MISSING": (_VALIDATION, "Fill in the record's required fields in Salesforce."),
    "DUPLICATES_DETECTED": (
        _VALIDATION,
        "A duplicate rule blocks the record: merge the duplicates or exempt the integration user.",
    ),
    "DUPLICATE_VALUE": (
        _VALIDATION,
        "A unique field holds a value twice: correct one of the two records in Salesforce.",
    ),
}


def explain(code: str) -> Failure:
    """Return class and fix of a status code; unknown codes are validation, named in the fix."""
    if code in _TABLE:
        failure_class, fix = _TABLE[code]
        return Failure(code, failure_class, fix)
    return Failure(
        code, _VALIDATION, f"Look up Salesforce's status code {code} and correct the record."
    )


def code_of(value: object) -> str:
    """Return a code that Salesforce named as such; anything that is no code becomes unknown."""
    is_code = isinstance(value, str) and _CODE.fullmatch(value)
    return str(value) if is_code else UNKNOWN


def code_of_row(text: object) -> str:
    """Return the code in `sf__Error` of a Bulk result, and never anything else of that text."""
    match = _ROW_ERROR.match(text) if isinstance(text, str) else None
    return match[1] if match else UNKNOWN


def code_of_job(text: object) -> str:
    """Return the code in `errorMessage` of a job, and never anything else of that text.

    A hidden or unknown field comes as `InvalidBatch : Field name not found : NAME` when rows are
    loaded; it gets the code it has everywhere else.
    """
    if not isinstance(text, str):
        return UNKNOWN
    if "Field name not found" in text or "No such column" in text:
        return INVALID_FIELD
    match = _JOB_ERROR.match(text)
    return match[1] if match else code_of(text)
