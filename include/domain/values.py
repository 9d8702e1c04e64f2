"""The small closed vocabularies, stored verbatim in the audit tables."""

from enum import StrEnum
from typing import Final

STANDARD_FIELD: Final = "HasOptedOutOfEmail"
STANDARD_LABEL: Final = "Email Opt Out"


class SalesforceObject(StrEnum):
    """The Salesforce objects that carry an opt-out field."""

    CONTACT = "Contact"
    LEAD = "Lead"


class Side(StrEnum):
    """The two systems that are kept in agreement."""

    STORE = "store"
    SALESFORCE = "salesforce"


class Outcome(StrEnum):
    """What became of one planned write."""

    APPLIED = "applied"  # the side accepted it
    CONFIRMED = "confirmed"  # read back and seen
    FAILED = "failed"
    HELD = "held"
    SUPERSEDED = "superseded"


class FailureClass(StrEnum):
    """What kind of help a failed write needs."""

    RETRY = "retry"  # the next night tries again by itself
    PERMISSION = "permission"
    VALIDATION = "validation"
    GONE = "gone"
    CHANGED = "changed"  # accepted, but somebody changed it before it was read back
