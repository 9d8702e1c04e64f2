"""Sets a flag on 200 and reads flags of 2,000 records per request, by sObject Collections.

Rows succeed or fail on their own (`allOrNone` false), in the order they were sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from include.salesforce.errors import (
    FieldNotVisibleError,
    IncompleteJobError,
    SalesforceUnavailableError,
)
from include.salesforce.failures import INVALID_FIELD, UNKNOWN, code_of
from include.salesforce.outcomes import outcomes
from include.salesforce.records import checked_field, normalised
from include.salesforce.session import SalesforceSession

WRITTEN_PER_REQUEST: Final = 200
READ_PER_REQUEST: Final = 2_000

WRITE_HEADERS: Final = {
    # an opt-out is not held back by a duplicate rule that only warns
    "Sforce-Duplicate-Rule-Header": "allowSave=true",
    # without it the active assignment rule would give each Lead we write to another owner;
    # Bulk jobs apply no rule unless they name one
    "Sforce-Auto-Assign": "FALSE",
}


@dataclass(frozen=True, slots=True)
class Collections:
    """Flags of one object, read and set by collections; nothing is cleared here."""

    session: SalesforceSession
    object_name: str

    def write(self, record_ids: pd.Series, field: str) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of one request after the other."""
        for chunk in _chunks(record_ids, WRITTEN_PER_REQUEST):
            yield self._write_chunk(chunk, checked_field(field))

    def read(self, record_ids: pd.Series, fields: Sequence[str]) -> pd.DataFrame:
        """Return record_id and a nullable boolean column per field; null where no record came."""
        names = [checked_field(each) for each in fields]
        found = self.rows(record_ids, names)
        return pd.DataFrame(
            {"record_id": record_ids} | {name: _flags(record_ids, found, name) for name in names}
        )

    def already_set(self, record_ids: pd.Series, field: str) -> pd.Series:
        """Return which of some records are opted out now: sending that again would be an effect."""
        flags = self.read(record_ids, [field])
        is_set = flags[field].fillna(False).astype(bool)
        return flags.loc[is_set, "record_id"].reset_index(drop=True)

    def rows(self, record_ids: pd.Series, fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the records that came, by Id, as Salesforce answers them; deleted ones do not."""
        found: dict[str, dict[str, Any]] = {}
        for chunk in _chunks(record_ids, READ_PER_REQUEST):
            found |= self._read_chunk(chunk, [each for each in fields if each != "Id"])
        return found

    def _write_chunk(self, sent: pd.Series, field: str) -> pd.DataFrame:
        try:
            return outcomes(sent, self._send(sent, field))
        except FieldNotVisibleError:
            return outcomes(sent, dict.fromkeys(sent, INVALID_FIELD))

    def _send(self, sent: pd.Series, field: str) -> dict[str, str]:
        """Send one request and return the codes of its rejected rows.

        When the reply is lost, only what is not set yet is sent again: flows and triggers of the
        org run with every write, also of an equal value.
        """
        try:
            return self._send_once(sent, field)
        except SalesforceUnavailableError as error:
            if not error.was_sent:
                raise  # it was repeated already
            return self.session.repeat(lambda: self._send_rest(sent, field))

    def _send_rest(self, sent: pd.Series, field: str) -> dict[str, str]:
        there = self.already_set(sent, field)
        left = sent[~sent.isin(there)].reset_index(drop=True)
        return self._send_once(left, field) if len(left) else {}

    def _send_once(self, sent: pd.Series, field: str) -> dict[str, str]:
        attributes = {"type": self.object_name}
        records = [{"attributes": attributes, "id": each, field: True} for each in sent]
        answer = self.session.json(
            "PATCH",
            "composite/sobjects",
            repeatable=False,
            headers=WRITE_HEADERS,
            json={"allOrNone": False, "records": records},
        )
        return codes_of_rejected(list(sent), answer)

    def _read_chunk(self, asked: pd.Series, fields: list[str]) -> dict[str, dict[str, Any]]:
        answer = self.session.json(
            "POST",
            f"composite/sobjects/{self.object_name}",
            repeatable=True,
            json={"ids": list(asked), "fields": ["Id", *fields]},
        )
        if len(answer) != len(asked):
            raise IncompleteJobError(f"{len(answer)} answers came for {len(asked)} records")
        found = [record for record in answer if record is not None]
        ids = normalised([record["Id"] for record in found])
        return dict(zip(ids, found, strict=True))


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


def _flags(record_ids: pd.Series, found: dict[str, dict[str, Any]], field: str) -> pd.Series:
    flags = {record_id: bool(record[field]) for record_id, record in found.items()}
    return record_ids.map(flags).astype("boolean")


def _chunks(record_ids: pd.Series, size: int) -> Iterator[pd.Series]:
    for start in range(0, len(record_ids), size):
        yield record_ids.iloc[start : start + size].reset_index(drop=True)
