"""Who changed a value after we wrote it, so that somebody can be asked.

The history of the field tells exactly. Without it, it is whoever edited the record last, and that
may be somebody who came later.
"""

from datetime import UTC, datetime

import pandas as pd

from include.salesforce.client import SalesforceClient
from include.sync.nightly.load import Target
from include.sync.preflight import Access

CODE = "CHANGED_AFTER_WRITE"


def last_changes(
    client: SalesforceClient, target: Target, record_ids: list[str], access: Access
) -> pd.DataFrame:
    """Find who changed a field of records last.

    Returns:
        One row per record that exists: `record_id`, `changed_by` (Id of a user), `changed_at` (UTC)
        and `fix`: the same as a sentence, with the user's name where Salesforce tells it.
    """
    found = _edits(client, target, record_ids, access)
    told = _history(client, target, record_ids, access)
    found = found.merge(told, on="record_id", how="left", validate="1:1")
    found["changed_by"] = found["by"].fillna(found["changed_by"])
    found["changed_at"] = found["at"].fillna(found["changed_at"])
    users = sorted({str(each) for each in found["changed_by"]})
    names, us = client.user_names(users) if users else {}, client.user_id()
    told_by_history = found["by"].notna()
    fixes = [
        _sentence(str(user), at, names, us, is_exact=bool(is_exact))
        for user, at, is_exact in zip(
            found["changed_by"], found["changed_at"].tolist(), told_by_history, strict=True
        )
    ]
    return found.assign(fix=pd.Series(fixes, index=found.index, dtype="str"))[
        ["record_id", "changed_by", "changed_at", "fix"]
    ]


def _edits(
    client: SalesforceClient, target: Target, record_ids: list[str], access: Access
) -> pd.DataFrame:
    rows = client.read_records(
        target.obj, [target.field], record_ids, person_accounts=access.person_accounts
    )
    names = {"last_modified_by": "changed_by", "last_modified_at": "changed_at"}
    return rows.rename(columns=names)[["record_id", "changed_by", "changed_at"]]


def _history(
    client: SalesforceClient, target: Target, record_ids: list[str], access: Access
) -> pd.DataFrame:
    """Return the newest change where it was to "not opted out": that is the one we look for."""
    rows = client.read_history(
        target.obj, [target.field], record_ids, person_accounts=access.person_accounts
    )
    return rows.loc[~rows["is_opted_out"].astype(bool), ["record_id", "by", "at"]]


def _sentence(user: str, at: datetime, names: dict[str, str], us: str, *, is_exact: bool) -> str:
    who = f"user {names[user]} ({user})" if user in names else f"user {user}"
    if user == us:
        who = f"an automation that runs as the integration user ({user})"
    did = "changed it" if is_exact else "edited the record last"
    return (
        "Salesforce accepted the value, and it was read back different: "
        f"{who} {did}, {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC. Ask them, or look for a flow "
        "or trigger of the object; the next night decides it again."
    )
