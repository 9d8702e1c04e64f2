"""From an HTTP answer to a value or to a named error."""

from typing import Any, Final

import requests

from include.domain.errors import OptOutSyncError
from include.salesforce.errors import (
    ApiLimitError,
    FieldNotVisibleError,
    SalesforceRequestError,
    SalesforceUnavailableError,
    SessionExpiredError,
)
from include.salesforce.failures import INVALID_FIELD, UNKNOWN, code_of
from include.salesforce.transport import TRANSIENT_STATUSES

# what a whole request or job can fail with although a repetition helps; Salesforce answers 400
TRANSIENT_CODES: Final = frozenset(
    {
        "QUERY_TIMEOUT",
        "UNABLE_TO_LOCK_ROW",
        "SERVER_UNAVAILABLE",
        "REQUEST_RUNNING_TOO_LONG",
        "API_TEMPORARILY_UNAVAILABLE",
        "TooManyLockFailure",
        "InternalServerError",
        "Timeout",
    }
)
LIMIT_CODES: Final = frozenset({"REQUEST_LIMIT_EXCEEDED", "EXCEEDED_QUOTA", "ExceededQuota"})
_FIELD_HELP: Final = (
    "Salesforce does not show a field to the integration user: make it visible in its permission "
    "set, or correct the field's API name in the settings"
)


def is_ok(response: requests.Response) -> bool:
    """Tell whether Salesforce did what was asked; a redirect is not that."""
    return 200 <= response.status_code < 300


def error_of(response: requests.Response) -> OptOutSyncError:
    """Name the error in a refused answer, by status and code only."""
    code = _error_code(response)
    if response.status_code == 401:
        return SessionExpiredError("Salesforce refused the session twice, also after a fresh login")
    return error_of_code(code) or _error_of_status(response, code)


def error_of_code(code: str) -> OptOutSyncError | None:
    """Name the error behind a code of a request or a job; null when the code alone says little."""
    if code in LIMIT_CODES:
        return ApiLimitError(
            f"the org's API requests are used up ({code}): they come back over the next 24 hours"
        )
    if code in TRANSIENT_CODES:
        return SalesforceUnavailableError(
            f"Salesforce could not finish the request ({code})", code=code
        )
    if code == INVALID_FIELD:
        return FieldNotVisibleError(_FIELD_HELP)
    return None


def is_transient(status: int) -> bool:
    """Tell whether an HTTP status says "not now"."""
    return status >= 500 or status in TRANSIENT_STATUSES


def unavailable(response: requests.Response) -> SalesforceUnavailableError:
    """Name a refusal that passes."""
    return SalesforceUnavailableError(
        f"Salesforce is not available (HTTP {response.status_code})",
        retry_after=_retry_after(response),
    )


def decoded(response: requests.Response) -> Any:
    """Return the JSON of an answer.

    Raises:
        SalesforceUnavailableError: the body is not JSON: cut short, or a page of HTML.
    """
    try:
        return response.json()
    except requests.JSONDecodeError:
        # `from None`: the decoder's error holds the whole body, hence personal data
        raise SalesforceUnavailableError("Salesforce's answer is not JSON") from None


def _error_of_status(response: requests.Response, code: str) -> OptOutSyncError:
    status = response.status_code
    if is_transient(status):
        return unavailable(response)
    return SalesforceRequestError(
        f"Salesforce refused the request (HTTP {status}, {code})", status=status, code=code
    )


def _error_code(response: requests.Response) -> str:
    """Return `errorCode` of the usual `[{"errorCode": ..., "message": ...}]`."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return UNKNOWN
    first = body[0] if isinstance(body, list) and body else body
    return code_of(first.get("errorCode")) if isinstance(first, dict) else UNKNOWN


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
