"""Opts records of several objects out, 200 per request whatever they are.

A push has a few Contacts, Leads and person accounts at a time, and an org counts requests: one
request takes them all, each with the flags it needs. Nothing is cleared here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from include.salesforce.collections import (
    WRITE_HEADERS,
    WRITTEN_PER_REQUEST,
    codes_of_rejected,
)
from include.salesforce.errors import (
    FieldNotVisibleError,
    IncompleteJobError,
    SalesforceUnavailableError,
)
from include.salesforce.failures import INVALID_FIELD
from include.salesforce.outcomes import outcomes
from include.salesforce.person_accounts import ACCOUNT, account_code, account_field
from include.salesforce.records import checked_field, normalised
from include.salesforce.session import SalesforceSession


@dataclass(frozen=True, slots=True)
class _Row:
    """What is sent for a record: of a person account the Account, by its own field names."""

    record_id: str
    sobject: str
    sent_id: str
    names: tuple[str, ...]

    @property
    def body(self) -> dict[str, object]:
        flags = dict.fromkeys(self.names, True)
        return {"attributes": {"type": self.sobject}, "id": self.sent_id, **flags}

    def code(self, code: str) -> str:
        """Return a code as it is told of this record."""
        return account_code(code) if self.sobject == ACCOUNT else code


@dataclass(frozen=True, slots=True)
class OptOuts:
    """Flags of many records, set in as few requests as can be."""

    session: SalesforceSession

    def write(self, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of one request after the other; see `client`."""
        sent = _sent(rows)
        for start in range(0, len(sent), WRITTEN_PER_REQUEST):
            yield from self._write(sent[start : start + WRITTEN_PER_REQUEST])

    def _write(self, sent: list[_Row]) -> Iterator[pd.DataFrame]:
        """Send rows; a hidden field refuses the whole request, so each kind then goes alone."""
        try:
            yield outcomes(_record_ids(sent), self._send(sent))
        except FieldNotVisibleError:
            kinds = _by_kind(sent)
            if len(kinds) == 1:
                codes = {row.record_id: row.code(INVALID_FIELD) for row in sent}
                yield outcomes(_record_ids(sent), codes)
                return
            for kind in kinds:
                yield from self._write(kind)

    def _send(self, sent: list[_Row]) -> dict[str, str]:
        """Send one request; returns the codes of its rejected rows by record."""
        try:
            rejected = self._ask(sent)
        except SalesforceUnavailableError as error:
            if error.was_sent:
                error.in_doubt = frozenset(row.record_id for row in sent)
            raise
        except IncompleteJobError as error:
            error.in_doubt = frozenset(row.record_id for row in sent)
            raise
        return {
            row.record_id: row.code(rejected[row.sent_id])
            for row in sent
            if row.sent_id in rejected
        }

    def _ask(self, sent: list[_Row]) -> dict[str, str]:
        """Send; it is not repeated when the reply is lost.

        Ticking a box twice is ticking it once, but each time somebody's automation runs: whoever
        asks reads the records first, and sends what is still missing.
        """
        answer = self.session.json(
            "PATCH",
            "composite/sobjects",
            repeatable=False,
            headers=WRITE_HEADERS,
            json={"allOrNone": False, "records": [row.body for row in sent]},
        )
        return codes_of_rejected([row.sent_id for row in sent], answer)


def _sent(rows: pd.DataFrame) -> list[_Row]:
    """Return what is sent, sorted by object: a request may change it ten times."""
    ids = normalised(rows["record_id"].tolist())
    if len(ids) != len(rows):
        raise ValueError("rows must have one row per record")
    is_account = rows["account_id"].notna().tolist()
    accounts = iter(normalised(rows.loc[is_account, "account_id"].tolist()))
    named = zip(ids, rows["object"], rows["fields"], is_account, strict=True)
    sent = [
        _Row(record_id, ACCOUNT, next(accounts), tuple(account_field(checked_field(f)) for f in of))
        if is_one
        else _Row(record_id, str(obj), record_id, tuple(checked_field(f) for f in of))
        for record_id, obj, of, is_one in named
    ]
    return sorted(sent, key=lambda row: row.sobject)


def _record_ids(sent: list[_Row]) -> pd.Series:
    return pd.Series([row.record_id for row in sent], dtype="str")


def _by_kind(sent: list[_Row]) -> list[list[_Row]]:
    kinds: dict[tuple[str, tuple[str, ...]], list[_Row]] = {}
    for row in sent:
        kinds.setdefault((row.sobject, row.names), []).append(row)
    return list(kinds.values())
