"""Opts records of several objects out, 200 per request whatever they are.

A push has a few Contacts, Leads and person accounts at a time, and an org counts requests: one
request takes them all, each with the flags it needs. Nothing is cleared here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from include.salesforce.collections import (
    WRITE_HEADERS,
    WRITTEN_PER_REQUEST,
    codes_of_rejected,
)
from include.salesforce.errors import FieldNotVisibleError
from include.salesforce.failures import INVALID_FIELD
from include.salesforce.outcomes import outcomes
from include.salesforce.person_accounts import ACCOUNT, account_code, account_field
from include.salesforce.records import checked_field, normalised
from include.salesforce.session import SalesforceSession

COLUMNS: Final = ("record_id", "object", "account_id", "fields")


@dataclass(frozen=True, slots=True)
class OptOuts:
    """Flags of many records, set in as few requests as can be."""

    session: SalesforceSession

    def write(self, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of one request after the other; see `client`."""
        sent = _sent(rows)
        for start in range(0, len(sent), WRITTEN_PER_REQUEST):
            yield from self._write(sent.iloc[start : start + WRITTEN_PER_REQUEST])

    def _write(self, sent: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Send rows; a hidden field refuses the whole request, so each kind then goes alone."""
        try:
            yield outcomes(sent["record_id"].reset_index(drop=True), self._send(sent))
        except FieldNotVisibleError:
            kinds = [kind for _, kind in sent.groupby(["sobject", "names"], sort=False)]
            if len(kinds) == 1:
                codes = {row.record_id: _code(row, INVALID_FIELD) for row in sent.itertuples()}
                yield outcomes(sent["record_id"].reset_index(drop=True), codes)
                return
            for kind in kinds:
                yield from self._write(kind)

    def _send(self, sent: pd.DataFrame) -> dict[str, str]:
        """Send one request; returns the codes of its rejected rows by record.

        It is repeated when the reply is lost: setting an opt-out twice is setting it once.
        """
        answer = self.session.json(
            "PATCH",
            "composite/sobjects",
            repeatable=True,
            headers=WRITE_HEADERS,
            json={"allOrNone": False, "records": [_record(row) for row in sent.itertuples()]},
        )
        rejected = codes_of_rejected(sent["id"].tolist(), answer)
        return {
            row.record_id: _code(row, rejected[row.id])
            for row in sent.itertuples()
            if row.id in rejected
        }


def _sent(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is sent for each record, sorted by object: a request may change it ten times."""
    ids = normalised(rows["record_id"].tolist())
    if len(ids) != len(rows):
        raise ValueError("rows must have one row per record")
    sent = pd.DataFrame(
        {
            "record_id": ids,
            "id": ids,
            "sobject": rows["object"].astype("str").to_numpy(),
            "names": [tuple(map(checked_field, each)) for each in rows["fields"]],
        }
    )
    is_account = rows["account_id"].notna().to_numpy(bool)
    if is_account.any():
        sent.loc[is_account, "id"] = normalised(rows.loc[is_account, "account_id"].tolist()).array
        sent.loc[is_account, "sobject"] = ACCOUNT
        names = [tuple(map(account_field, each)) for each in sent.loc[is_account, "names"]]
        sent.loc[is_account, "names"] = pd.Series(names, index=sent.index[is_account])
    return sent.sort_values("sobject", kind="stable", ignore_index=True)


def _record(row: Any) -> dict[str, object]:
    return {"attributes": {"type": row.sobject}, "id": row.id, **dict.fromkeys(row.names, True)}


def _code(row: Any, code: str) -> str:
    return account_code(code) if row.sobject == ACCOUNT else code
