"""Writes the opt-outs of people whose Contact is one half of a person account.

Salesforce refuses writes to such a Contact (help article 005305352): its fields are changed on the
Account, under names of their own, and the Contact mirrors them at once.
"""

from typing import Final

import pandas as pd

from include.domain.ids import classify_any
from include.salesforce.describe import read_field_access
from include.salesforce.failures import (
    INVALID_FIELD,
    INVALID_TYPE,
    NOT_FOUND,
    PERSON_ACCOUNT,
    explain,
)
from include.salesforce.outcomes import outcomes
from include.salesforce.session import SalesforceSession

ACCOUNT: Final = "Account"

# a hidden Account is "not found": that it exists is known from its Contact
_NOT_PERMITTED: Final = frozenset(
    {
        "INSUFFICIENT_ACCESS",
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        INVALID_FIELD,
        INVALID_TYPE,
        NOT_FOUND,
    }
)


def account_field(field: str) -> str:
    """Return the Account's name of a Contact's field: a custom `X__c` is `X__pc` there."""
    return f"{field[:-1]}pc" if field.endswith("__c") else f"Person{field}"


def account_code(code: str) -> str:
    """Return the code of a rejected Account; everything not permitted has one code and one fix."""
    return PERSON_ACCOUNT if code in _NOT_PERMITTED else code


def is_writable(session: SalesforceSession, field: str) -> bool:
    """Tell whether the integration user may change a Contact's field on the Account.

    Raises:
        FieldSpellingError: the field is spelled in another case.
    """
    return read_field_access(session, ACCOUNT, account_field(field)).updateable


def accounts_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return record_id and account_id in 18 characters, each record once.

    Raises:
        ValueError: one of the Ids is none.
    """
    ids = pd.DataFrame({each: classify_any(rows[each]) for each in ("record_id", "account_id")})
    if ids.isna().any(axis=None):
        raise ValueError("not every Contact and its Account have a Salesforce Id")
    return ids.drop_duplicates("record_id", ignore_index=True)


def not_permitted(accounts: pd.DataFrame) -> pd.DataFrame:
    """Return the outcomes of Accounts that we may not write."""
    record_ids = accounts["record_id"]
    return outcomes(record_ids, dict.fromkeys(record_ids, PERSON_ACCOUNT))


def of_contacts(written: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """Turn the outcomes of Accounts into those of their Contacts."""
    renamed = written.rename(columns={"record_id": "account_id"})
    found = renamed.merge(accounts, on="account_id")
    code = found["code"].map(account_code, na_action="ignore")
    is_ours = code.eq(PERSON_ACCOUNT)
    failure = explain(PERSON_ACCOUNT)
    return found.assign(
        code=code.astype("str"),
        failure_class=found["failure_class"].mask(is_ours, failure.failure_class.value),
        fix=found["fix"].mask(is_ours, failure.fix),
    )[list(written.columns)]
