"""Read back what was written: only what is seen counts as confirmed."""

import pandas as pd
from sqlalchemy import Connection, Engine

from include.audit import runs, writes
from include.audit.runs import Run
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.salesforce.client import SalesforceClient
from include.salesforce.failures import NOT_FOUND, explain
from include.store import acts, people
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.nightly.load import Target
from include.sync.nightly.steps import Counts, columns_of, count_outcomes, require_same_org
from include.sync.nightly.undone import CODE, last_changes
from include.sync.preflight import Access, access_of


def verify(engine: Engine, client: SalesforceClient, sync_run_id: int, *, clock: Clock) -> Counts:
    """Read back everything this night wrote: only what is seen counts as confirmed.

    What somebody else changed in Salesforce since is told with who did it.
    """
    run = runs.enter(engine, sync_run_id, "verify", now=clock())
    if run.finished is not None:
        return run.finished
    with transaction(engine) as conn:
        in_store = _in_store(conn, run)
        written = writes.applied(conn, run, Side.SALESFORCE)
    if not written.empty:
        require_same_org(client, run)
    in_salesforce = _in_salesforce(client, written, access_of(engine, run.id))
    outcomes = pd.concat([in_store, *in_salesforce], ignore_index=True)
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)
        counts = count_outcomes(outcomes) | {"undone": _undone(outcomes)}
        runs.finish_step(conn, run, counts, now=now)
    return counts


def _undone(outcomes: pd.DataFrame) -> int:
    """Count the opt-outs that Salesforce took and does not show any more."""
    is_undone = (outcomes["code"] == CODE) & (outcomes["side"] == Side.SALESFORCE.value)
    return int((is_undone & outcomes["target"]).sum())


def _in_store(conn: Connection, run: Run) -> pd.DataFrame:
    """Compare; a person who acted since, or was erased, has overtaken what was written."""
    chosen, written = run.settings.settings, writes.applied(conn, run, Side.STORE)
    states = people.read_states(
        conn,
        written["person_id"].tolist(),
        scopes=chosen.synced_scopes,
        with_bounces=chosen.bounces_sync,
    )
    found = _seen(written, states.drop_duplicates("person_id"), "person_id", Side.STORE)
    acted = acts.acted_since(conn, written["act_id"].dropna())
    is_overtaken = found["is_opted_out"].isna() | found["person_id"].isin(acted)
    is_overtaken &= found["outcome"] != Outcome.CONFIRMED.value
    found.loc[is_overtaken, ["outcome", "failure_class"]] = [Outcome.SUPERSEDED.value, None]
    found.loc[is_overtaken, ["code", "fix"]] = [
        "CHANGED_SINCE_READ",
        "The person acted since, or was erased; the next run decides.",
    ]
    return found


def _in_salesforce(
    client: SalesforceClient, written: pd.DataFrame, access: Access
) -> list[pd.DataFrame]:
    return [
        _told(client, Target(SalesforceObject(str(obj)), str(field)), rows, access)
        for (obj, field), rows in written.groupby(["object", "field"])
    ]


def _told(
    client: SalesforceClient, target: Target, written: pd.DataFrame, access: Access
) -> pd.DataFrame:
    """Compare, and say of what differs who changed it."""
    asked = written["record_id"].drop_duplicates().tolist()
    flags = client.read_flags(target.obj, [target.field], asked)
    flags = flags.rename(columns={target.field: "is_opted_out"})
    found = _seen(written, flags, "record_id", Side.SALESFORCE)
    differs = found["outcome"] != Outcome.CONFIRMED.value
    if not differs.any():
        return found
    is_there = found["is_opted_out"].notna()
    ids = found.loc[differs & is_there, "record_id"].drop_duplicates().tolist()
    found = found.drop(columns="fix").merge(
        last_changes(client, target, ids, access), on="record_id", how="left", validate="m:1"
    )
    gone = explain(NOT_FOUND)
    found.loc[~is_there.to_numpy(), ["failure_class", "code", "fix"]] = [
        gone.failure_class.value,
        gone.code,
        gone.fix,
    ]
    return found


def _seen(written: pd.DataFrame, values: pd.DataFrame, key: str, side: Side) -> pd.DataFrame:
    """Compare each written value with the one read back."""
    found = written.merge(values[[key, "is_opted_out"]], on=key, how="left", validate="m:1")
    confirmed = (found["is_opted_out"].astype("boolean") == found["target"]).fillna(False)
    seen = confirmed.astype(bool)
    nothing = pd.Series(None, index=found.index, dtype="str")
    return found.assign(
        side=side.value,
        outcome=nothing.mask(seen, Outcome.CONFIRMED.value).fillna(Outcome.FAILED.value),
        failure_class=nothing.mask(~seen, FailureClass.CHANGED.value),
        code=nothing.mask(~seen, CODE),
        fix=nothing.mask(
            ~seen, "The value was read back different; the next night decides it again."
        ),
    )
