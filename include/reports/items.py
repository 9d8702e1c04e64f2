"""One line of the checklist."""

from dataclasses import dataclass
from enum import StrEnum

from include.domain.errors import OptOutSyncError


class State(StrEnum):
    """Whether a requirement is met."""

    OK = "ok"
    WARN = "warn"  # the sync works, and somebody should look
    FAIL = "fail"  # something does not work before it is mended
    UNKNOWN = "unknown"  # nobody could tell: `detail` says why


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement.

    Attributes:
        code: stable, like `FIELD_WRITABLE.Lead.HasOptedOutOfEmail`.
        group: `Store`, `Connection`, `Field`, `People` or `Nights`.
        title: what is required.
        state: whether it is met.
        detail: what was found.
        fix: what to do, with the exact path in Salesforce's Setup or the command; empty: nothing.
    """

    code: str
    group: str
    title: str
    state: State
    detail: str
    fix: str = ""


def sentence(error: OptOutSyncError) -> str:
    """Return what an error says, as a sentence."""
    told = str(error)
    return f"{told[:1].upper()}{told[1:]}{'' if told.endswith('.') else '.'}"
