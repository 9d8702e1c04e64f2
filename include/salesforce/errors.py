"""What can go wrong with Salesforce, as named errors of two kinds.

TransientSyncError                  a retry helps
├── SalesforceUnavailableError      refused, timed out, reset, cut short, 5xx, 406, 420, 429
├── ApiLimitError                   the org's requests of the last 24 hours are used up
├── SessionExpiredError             the session was refused even after a fresh login
├── DeployUnfinishedError           Salesforce has not come to a change of the org in time
├── IncompleteJobError              results do not add up, or a job did not end in time
└── JobInterruptedError             Salesforce gave a job up for a reason that passes
PermanentSyncError                  a human must look
├── LoginError                      wrong key, secret, user, or login policy
├── UnknownUserError                Salesforce does not say who the integration user is
├── InsecureConnectionError         plain http, or a certificate nobody vouches for
├── FieldNotVisibleError            the integration user cannot see the field
├── InvalidFieldNameError           not the API name of a field
├── FieldSpellingError              the API name of a field, but for upper and lower case
├── FieldTypeError                  the field is no checkbox
├── JobFailedError                  Salesforce refused a job
├── MissingPermissionError          the user may not change the org in this way
├── DeployFailedError               Salesforce refused a change of the org
└── SalesforceRequestError          any other 4xx

Messages carry statuses and Salesforce's codes, never its free text: that text may quote a
record's values, hence personal data.
"""

from include.domain.errors import PermanentSyncError, TransientSyncError


class SalesforceUnavailableError(TransientSyncError):
    """Salesforce gave no usable answer.

    Attributes:
        was_sent: false only when the request certainly never reached Salesforce.
        retry_after: seconds Salesforce asked us to wait, or null.
        code: Salesforce's code, where it answered with one.
        in_doubt: Ids of records of which nobody knows whether they were written.
    """

    in_doubt: frozenset[str] = frozenset()

    def __init__(
        self,
        message: str,
        *,
        was_sent: bool = True,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.retry_after = retry_after
        self.code = code


class ApiLimitError(TransientSyncError):
    """The org has no API requests left: the limit counts the last 24 hours, so it passes."""


class SessionExpiredError(TransientSyncError):
    """Salesforce answered 401, and again 401 after a fresh login."""


class IncompleteJobError(TransientSyncError):
    """Counts or Ids do not add up, so nothing of the answer may be believed.

    Attributes:
        in_doubt: Ids of records of which nobody knows whether they were written.
    """

    in_doubt: frozenset[str] = frozenset()


class JobInterruptedError(TransientSyncError):
    """Salesforce ended a job early for a reason that passes: a lock, a time-out, an abort."""


class DeployUnfinishedError(TransientSyncError):
    """A change of the org waits behind others, or takes long; it may still happen."""


class LoginError(PermanentSyncError):
    """Salesforce refused the login; the message names the Connection to mend."""


class UnknownUserError(PermanentSyncError):
    """Salesforce does not say who the integration user is; its own edits could not be told."""


class InsecureConnectionError(PermanentSyncError):
    """The connection would expose the session, so it was not used."""


class FieldNotVisibleError(PermanentSyncError):
    """The field does not exist, or the integration user may not see it."""


class InvalidFieldNameError(PermanentSyncError):
    """The text is not the API name of a field and never reaches a query."""


class FieldSpellingError(PermanentSyncError):
    """Salesforce spells the field's API name in another case: answers would not be found by it."""


class FieldTypeError(PermanentSyncError):
    """The field exists and is no checkbox: what it holds says nothing of an opt-out."""


class JobFailedError(PermanentSyncError):
    """Salesforce refused a whole job; `code` says why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class MissingPermissionError(PermanentSyncError):
    """The user behind a Connection may not change the org in this way; the message says what."""


class DeployFailedError(PermanentSyncError):
    """Salesforce refused a change of the org; nothing of it was made.

    Messages repeat what Salesforce says of the components: they are about fields and layouts, and
    addresses are taken out.
    """


class SalesforceRequestError(PermanentSyncError):
    """Salesforce refused a request; carries its HTTP status and error code only."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
