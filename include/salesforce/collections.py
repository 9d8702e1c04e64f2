"""Writes flags 200 and reads them 2,000 records per request, by sObject Collections.

Rows succeed or fail on their own (`allOrNone` false), in the order they were sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from include.domain.values import SalesforceObject
from include.salesforce.errors import (
    FieldNotVisibleError,
    IncompleteJobError,
    SalesforceUnavailableError,
)
from include.salesforce.failures import INVALID_FIELD, REPLY_LOST, UNKNOWN, code_of
from include.salesforce.outcomes import outcomes
from include.salesforce.records import checked_field, normalised
from include.salesforce.session import SalesforceSession

WRITTEN_PER_REQUEST: Final = 200
READ_PER_REQUEST: Final = 2_000

_HEADERS: Final = {
    # an opt-out is not held back by a duplicate rule that only warns
    "Sforce-Duplicate-Rule-Header": "allowSave=true",
    # without it the active assignment rule would give each Lead we write to another owner;
    # Bulk jobs apply no rule unless they name one
    "Sforce-Auto-Assign": "FALSE",
}


@dataclass(frozen=True, slots=True)
class Collections:
    """One flag of one object, read and written by collections."""

    session: SalesforceSession
    obj: SalesforceObject
    field: str

    def write(self, record_ids: pd.Series, value: bool) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of one request after the other."""
        for chunk in _chunks(record_ids, WRITTEN_PER_REQUEST):
            yield self._write_chunk(chunk, value)

    def read(self, record_ids: pd.Series) -> pd.Series:
        """Return the flag of each Id as nullable boolean; null where no record came."""
        flags: dict[str, bool] = {}
        for chunk in _chunks(record_ids, READ_PER_REQUEST):
            flags |= self._read_chunk(chunk)
        return record_ids.map(flags).astype("boolean")

    def _write_chunk(self, sent: pd.Series, value: bool) -> pd.DataFrame:
        try:
            return outcomes(sent, self._send(sent, value))
        except FieldNotVisibleError:
            return outcomes(sent, dict.fromkeys(sent, INVALID_FIELD))
        except SalesforceUnavailableError as error:
            if value or not error.was_sent:
                raise
            return outcomes(sent, self._not_cleared(sent))

    def _send(self, sent: pd.Series, value: bool) -> dict[str, str]:
        """Send one request and return the codes of its rejected rows.

        An opt-out is repeated when the reply is lost: setting it twice is setting it once.
        A clear is not: it could undo what somebody ticked in between.
        """
        attributes = {"type": self.obj.value}
        records = [{"attributes": attributes, "id": each, self.field: value} for each in sent]
        answer = self.session.json(
            "PATCH",
            "composite/sobjects",
            repeatable=value,
            headers=_HEADERS,
            json={"allOrNone": False, "records": records},
        )
        return codes_of_rejected(list(sent), answer)

    def _not_cleared(self, sent: pd.Series) -> dict[str, str]:
        """After a lost reply to a clear, ask the records themselves."""
        flags = self.read(sent)
        return dict.fromkeys(sent[flags.fillna(True)], REPLY_LOST)

    def _read_chunk(self, asked: pd.Series) -> dict[str, bool]:
        answer = self.session.json(
            "POST",
            f"composite/sobjects/{self.obj.value}",
            repeatable=True,
            json={"ids": list(asked), "fields": ["Id", checked_field(self.field)]},
        )
        if len(answer) != len(asked):
            raise IncompleteJobError(f"{len(answer)} answers came for {len(asked)} records")
        found = [record for record in answer if record is not None]
        ids = normalised([record["Id"] for record in found])
        return dict(zip(ids, (bool(record[self.field]) for record in found), strict=True))


def codes_of_rejected(sent: list[str], answer: list[dict[str, Any]]) -> dict[str, str]:
    """Match the rows of a collection's answer with what was sent, by position.

    Raises:
        IncompleteJobError: a row is missing, or stands for another record.
    """
    if len(answer) != len(sent):
        raise IncompleteJobError(f"{len(answer)} outcomes came for {len(sent)} records")
    codes = {}
    for record_id, row in zip(sent, answer, strict=True):
        if (row.get("id") or record_id)[:15] != record_id[:15]:
            raise IncompleteJobError("an outcome stands for another record than the one sent")
        if not row["success"]:
            codes[record_id] = _first_code(row.get("errors") or [])
    return codes


def _first_code(errors: list[dict[str, Any]]) -> str:
    return code_of(errors[0].get("statusCode")) if errors else UNKNOWN


def _chunks(record_ids: pd.Series, size: int) -> Iterator[pd.Series]:
    for start in range(0, len(record_ids), size):
        yield record_ids.iloc[start : start + size].reset_index(drop=True)
